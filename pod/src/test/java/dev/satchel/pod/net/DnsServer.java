package dev.satchel.pod.net;

import java.io.Closeable;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A name server in the place of the host's: the answer is the query made a response, and made as long as the query's bytes 12 to 15
 * say; no answer where they say 0. On port 53 of a loopback address.
 */
final class DnsServer implements Closeable {
    final AtomicInteger datagrams = new AtomicInteger();
    private final DatagramSocket udp;
    private final ServerSocket tcp;

    private DnsServer(DatagramSocket udp, ServerSocket tcp) {
        this.udp = udp;
        this.tcp = tcp;
    }

    static DnsServer start(String address) throws IOException {
        InetAddress where = InetAddress.ofLiteral(address);
        DnsServer server = new DnsServer(new DatagramSocket(53, where), new ServerSocket(53, 50, where));
        Thread.ofVirtual().start(server::serveUdp);
        Thread.ofVirtual().start(server::serveTcp);
        return server;
    }

    static byte[] query(int id, int answerLength) {
        byte[] query = new byte[20];
        query[0] = (byte) (id >>> 8);
        query[1] = (byte) id;
        query[2] = 1;
        for (int i = 0; i < 4; i++) {
            query[12 + i] = (byte) (answerLength >>> (24 - 8 * i));
        }
        return query;
    }

    private static byte[] answer(byte[] query) {
        int length = 0;
        for (int i = 12; i < 16; i++) {
            length = length << 8 | (query[i] & 0xff);
        }
        byte[] answer = Arrays.copyOf(query, length);
        if (length > 0) {
            answer[2] |= (byte) 0x80;
        }
        return answer;
    }

    private void serveUdp() {
        byte[] buffer = new byte[4096];
        while (!udp.isClosed()) {
            try {
                DatagramPacket packet = new DatagramPacket(buffer, buffer.length);
                udp.receive(packet);
                datagrams.incrementAndGet();
                byte[] answer = answer(Arrays.copyOf(buffer, packet.getLength()));
                if (answer.length > 0) {
                    // First one that is not meant: another query's.
                    byte[] forged = answer.clone();
                    forged[0] ^= 1;
                    udp.send(new DatagramPacket(forged, forged.length, packet.getSocketAddress()));
                    udp.send(new DatagramPacket(answer, answer.length, packet.getSocketAddress()));
                }
            } catch (IOException e) {
                if (udp.isClosed()) {
                    return;
                }
            }
        }
    }

    private void serveTcp() {
        while (!tcp.isClosed()) {
            try (Socket socket = tcp.accept()) {
                DataInputStream input = new DataInputStream(socket.getInputStream());
                byte[] query = new byte[input.readUnsignedShort()];
                input.readFully(query);
                byte[] answer = answer(query);
                DataOutputStream output = new DataOutputStream(socket.getOutputStream());
                if (answer.length > 0) {
                    output.writeShort(answer.length);
                    output.write(answer);
                    output.flush();
                } else {
                    input.read();
                }
            } catch (IOException e) {
                if (tcp.isClosed()) {
                    return;
                }
            }
        }
    }

    static byte[] askUdp(String server, int port, byte[] query, int timeoutMillis) throws IOException {
        try (DatagramSocket socket = new DatagramSocket()) {
            socket.connect(InetAddress.ofLiteral(server), port);
            socket.setSoTimeout(timeoutMillis);
            socket.send(new DatagramPacket(query, query.length));
            DatagramPacket answer = new DatagramPacket(new byte[65535], 65535);
            socket.receive(answer);
            return Arrays.copyOf(answer.getData(), answer.getLength());
        }
    }

    static byte[] askTcp(String server, int port, byte[] query) throws IOException {
        try (Socket socket = new Socket()) {
            socket.setSoTimeout(10_000);
            socket.connect(new InetSocketAddress(InetAddress.ofLiteral(server), port), 2000);
            return ask(socket, query);
        }
    }

    /** One query on a connection that may serve more. */
    static byte[] ask(Socket socket, byte[] query) throws IOException {
        DataOutputStream output = new DataOutputStream(socket.getOutputStream());
        output.writeShort(query.length);
        output.write(query);
        output.flush();
        DataInputStream input = new DataInputStream(socket.getInputStream());
        byte[] answer = new byte[input.readUnsignedShort()];
        input.readFully(answer);
        return answer;
    }

    @Override
    public void close() throws IOException {
        udp.close();
        tcp.close();
    }
}
