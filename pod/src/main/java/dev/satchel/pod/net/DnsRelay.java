package dev.satchel.pod.net;

import java.io.Closeable;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketAddress;
import java.net.SocketTimeoutException;
import java.net.StandardProtocolFamily;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;
import java.util.Arrays;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import org.jspecify.annotations.Nullable;

/**
 * Passes a session's DNS queries on to the name servers of the host, RFC 1035 §4.2, and the answers back, unread and uncached. It
 * listens in the router's namespace and asks from the host's, where a server such as 127.0.0.53 can be reached.
 *
 * <p>Bounded: more than {@value #QUERIES_MAX} queries at a time over UDP are dropped, as a network may do (who asked asks again);
 * more than {@value #CONNECTIONS_MAX} connections wait in the backlog. No query or connection is kept longer than some seconds. A
 * query that no server answers gets SERVFAIL, so that programs fail soon and with a reason.
 */
final class DnsRelay implements Closeable {
    static final int PORT = 53;
    static final int QUERIES_MAX = 64;
    static final int CONNECTIONS_MAX = 16;

    /** How long to wait for a server before the next one is asked. */
    static final int ANSWER_TIMEOUT_MILLIS = 1500;

    /** Asked twice at most, all servers in turn, and no longer than three times that: resolver(3) asks again after 5 s. */
    private static final int ROUNDS = 2;

    private static final int TIMEOUTS_MAX = 3;
    private static final int CONNECTION_IDLE_MILLIS = 10_000;

    /** Header alone, RFC 1035 §4.1.1. */
    private static final int MESSAGE_MIN = 12;

    /** A datagram's payload: more than any server sends, 4096 being the most that clients advertise, RFC 6891 §6.2.5. */
    private static final int DATAGRAM_MAX = 4096;

    private static final int BACKLOG = 16;
    private static final int FLAGS = 2;
    private static final int QR = 0x80;
    private static final int RCODE_SERVFAIL = 2;

    private final DatagramChannel datagrams;
    private final ServerSocket connections;
    private final Resolvers resolvers;
    private final int answerTimeoutMillis;
    private final Semaphore queries = new Semaphore(QUERIES_MAX);
    private final Semaphore places = new Semaphore(CONNECTIONS_MAX);
    private final Set<Closeable> open = ConcurrentHashMap.newKeySet();
    private volatile boolean closed;

    private DnsRelay(
            DatagramChannel datagrams, ServerSocket connections, Resolvers resolvers, int answerTimeoutMillis) {
        this.datagrams = datagrams;
        this.connections = connections;
        this.resolvers = resolvers;
        this.answerTimeoutMillis = answerTimeoutMillis;
    }

    /**
     * Begins to listen in the network namespace of the calling thread; what comes waits for {@link #serve}, which is not to be called there: threads
     * and sockets that ask are to be in this process's own.
     *
     * @param address where to listen; port 0 takes a free one (the same for both protocols is not promised then)
     */
    static DnsRelay listen(InetSocketAddress address, Resolvers resolvers, int answerTimeoutMillis) throws IOException {
        DatagramChannel datagrams = DatagramChannel.open(StandardProtocolFamily.INET);
        try {
            datagrams.bind(address);
            ServerSocket connections = new ServerSocket();
            try {
                connections.setReuseAddress(true);
                connections.bind(
                        new InetSocketAddress(
                                address.getAddress(), ((InetSocketAddress) datagrams.getLocalAddress()).getPort()),
                        BACKLOG);
                return new DnsRelay(datagrams, connections, resolvers, answerTimeoutMillis);
            } catch (IOException | RuntimeException e) {
                connections.close();
                throw e;
            }
        } catch (IOException | RuntimeException e) {
            datagrams.close();
            throw e;
        }
    }

    /** Begins to answer. */
    void serve() {
        Thread.ofVirtual().name("dns udp").start(this::serveDatagrams);
        Thread.ofVirtual().name("dns tcp").start(this::serveConnections);
    }

    /** The port that it listens on. */
    int port() {
        return connections.getLocalPort();
    }

    // --- UDP
    // ------------------------------------------------------------------------------------------------------------------

    private void serveDatagrams() {
        ByteBuffer buffer = ByteBuffer.allocate(DATAGRAM_MAX);
        while (!closed) {
            try {
                SocketAddress client = datagrams.receive(buffer.clear());
                byte[] query = Arrays.copyOf(buffer.array(), buffer.position());
                if (client != null && isQuery(query) && queries.tryAcquire()) {
                    Thread.ofVirtual().name("dns query").start(() -> answerDatagram(query, client));
                }
            } catch (IOException e) {
                // Closed, or an ICMP error of an earlier answer: the session's own matter.
                if (!datagrams.isOpen()) {
                    return;
                }
            }
        }
    }

    private void answerDatagram(byte[] query, SocketAddress client) {
        try {
            byte[] answer = askByDatagram(query);
            datagrams.send(ByteBuffer.wrap(answer == null ? failure(query) : answer), client);
        } catch (IOException e) {
            // The session is unplugged or the relay closed: the answer is lost, as a datagram may be.
            return;
        } finally {
            queries.release();
        }
    }

    /** @return the first answer of any server, or null if none came in time */
    private byte @Nullable [] askByDatagram(byte[] query) throws IOException {
        long deadline = System.nanoTime() + 1_000_000L * TIMEOUTS_MAX * answerTimeoutMillis;
        byte[] answer = new byte[DATAGRAM_MAX];
        for (int round = 0; round < ROUNDS; round++) {
            for (InetAddress server : resolvers.servers()) {
                // A socket for each question: its random port and the connection keep forged answers out, RFC 5452
                // §9.2.
                try (DatagramSocket socket = new DatagramSocket()) {
                    opened(socket);
                    try {
                        socket.connect(server, PORT);
                        socket.send(new DatagramPacket(query, query.length));
                        long giveUp = Math.min(deadline, System.nanoTime() + answerTimeoutMillis * 1_000_000L);
                        DatagramPacket packet = new DatagramPacket(answer, answer.length);
                        while (true) {
                            long remainingMillis = (giveUp - System.nanoTime()) / 1_000_000L;
                            if (remainingMillis <= 0) {
                                break;
                            }
                            socket.setSoTimeout((int) remainingMillis);
                            packet.setLength(answer.length);
                            socket.receive(packet);
                            if (answers(answer, packet.getLength(), query)) {
                                return Arrays.copyOf(answer, packet.getLength());
                            }
                        }
                    } finally {
                        open.remove(socket);
                    }
                } catch (IOException e) {
                    // No answer in time, refused or unreachable: the next one.
                    if (closed) {
                        throw e;
                    }
                }
                if (System.nanoTime() - deadline > 0) {
                    return null;
                }
            }
        }
        return null;
    }

    // --- TCP
    // ------------------------------------------------------------------------------------------------------------------

    private void serveConnections() {
        while (!closed) {
            try {
                places.acquire();
            } catch (InterruptedException e) {
                return;
            }
            try {
                Socket client = connections.accept();
                Thread.ofVirtual().name("dns connection").start(() -> {
                    try {
                        serve(client);
                    } finally {
                        places.release();
                    }
                });
            } catch (IOException e) {
                places.release();
                if (connections.isClosed()) {
                    return;
                }
            }
        }
    }

    /** One query after the other until the client ends or has nothing to ask any more, RFC 7766 §6.2. */
    private void serve(Socket client) {
        try (client) {
            opened(client);
            client.setTcpNoDelay(true);
            client.setSoTimeout(CONNECTION_IDLE_MILLIS);
            DataInputStream input = new DataInputStream(client.getInputStream());
            OutputStream output = client.getOutputStream();
            while (!closed) {
                byte[] query = read(input);
                if (!isQuery(query)) {
                    return;
                }
                byte[] answer = askByConnection(query);
                write(output, answer == null ? failure(query) : answer);
            }
        } catch (EOFException | SocketTimeoutException e) {
            // It has no more questions.
            return;
        } catch (IOException e) {
            // It went away, or the relay is closed: nobody is left to tell.
            return;
        } finally {
            open.remove(client);
        }
    }

    private byte @Nullable [] askByConnection(byte[] query) throws IOException {
        for (InetAddress server : resolvers.servers()) {
            try (Socket socket = new Socket()) {
                opened(socket);
                try {
                    socket.connect(new InetSocketAddress(server, PORT), answerTimeoutMillis);
                    socket.setSoTimeout(answerTimeoutMillis);
                    socket.setOption(StandardSocketOptions.TCP_NODELAY, true);
                    write(socket.getOutputStream(), query);
                    byte[] answer = read(new DataInputStream(socket.getInputStream()));
                    if (answers(answer, answer.length, query)) {
                        return answer;
                    }
                } finally {
                    open.remove(socket);
                }
            } catch (IOException e) {
                // No answer in time, refused or unreachable: the next one.
                if (closed) {
                    throw e;
                }
            }
        }
        return null;
    }

    /** A message after its two bytes of length, RFC 1035 §4.2.2. */
    private static byte[] read(DataInputStream input) throws IOException {
        byte[] message = new byte[input.readUnsignedShort()];
        input.readFully(message);
        return message;
    }

    private static void write(OutputStream output, byte[] message) throws IOException {
        // In one segment: some servers and clients can't put them together, RFC 7766 §8.
        byte[] framed = new byte[2 + message.length];
        framed[0] = (byte) (message.length >>> 8);
        framed[1] = (byte) message.length;
        System.arraycopy(message, 0, framed, 2, message.length);
        output.write(framed);
    }

    // --- Messages
    // -------------------------------------------------------------------------------------------------------------

    private static boolean isQuery(byte[] message) {
        return message.length >= MESSAGE_MIN && (message[FLAGS] & QR) == 0;
    }

    /** Whether that is an answer to that query: its id, and a response. */
    private static boolean answers(byte[] message, int length, byte[] query) {
        return length >= MESSAGE_MIN && message[0] == query[0] && message[1] == query[1] && (message[FLAGS] & QR) != 0;
    }

    /** The query itself, made an answer: server failure. */
    private static byte[] failure(byte[] query) {
        byte[] answer = query.clone();
        answer[FLAGS] |= (byte) QR;
        answer[FLAGS + 1] = (byte) ((answer[FLAGS + 1] & 0xf0) | RCODE_SERVFAIL);
        return answer;
    }

    /** Something that {@link #close} has to close; if it came too late, at once. */
    private void opened(Closeable socket) throws IOException {
        open.add(socket);
        if (closed) {
            socket.close();
            throw new InterruptedIOException("the DNS relay is closed");
        }
    }

    /** Ends all it does. Its threads, and with the last of them the sockets, which keep the router's namespace alive, go at once. */
    @Override
    public void close() throws IOException {
        closed = true;
        try (datagrams) {
            connections.close();
        } finally {
            for (Closeable socket : open) {
                socket.close();
            }
        }
    }
}
