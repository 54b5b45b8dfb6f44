package dev.satchel.pod.net;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(120)
class DnsRelayTest {
    /** Another one for each test: Java frees the port of a closed socket only when the thread that was blocked on it has noticed. */
    private static final AtomicInteger TESTS = new AtomicInteger();

    private final String serverAddress = "127.77.4." + TESTS.incrementAndGet();
    /** Short where nobody answers; so long elsewhere that a busy machine is not taken for that. */
    private static final int SHORT_MILLIS = 300;

    private static final int TIMEOUT_MILLIS = 2_000;
    private static final String LOOPBACK = "127.0.0.1";

    @TempDir
    Path directory;

    private DnsServer server;
    private DnsRelay relay;

    @BeforeEach
    void start() throws IOException {
        server = DnsServer.start(serverAddress);
        resolvConf("# a comment\nsearch example\nnameserver " + serverAddress + "\n");
        relay = relay(TIMEOUT_MILLIS);
    }

    private DnsRelay relay(int timeoutMillis) throws IOException {
        DnsRelay made = DnsRelay.listen(
                new InetSocketAddress(InetAddress.ofLiteral(LOOPBACK), 0),
                new Resolvers(directory.resolve("resolv.conf")),
                timeoutMillis);
        made.serve();
        return made;
    }

    private void beShort() throws IOException {
        relay.close();
        relay = relay(SHORT_MILLIS);
    }

    @AfterEach
    void stop() throws IOException {
        relay.close();
        server.close();
    }

    private void resolvConf(String text) throws IOException {
        Files.writeString(directory.resolve("resolv.conf"), text);
    }

    private byte[] udp(int id, int answerLength) throws IOException {
        return DnsServer.askUdp(LOOPBACK, relay.port(), DnsServer.query(id, answerLength), 6000);
    }

    @Test
    void answersComeBackWholeAndToTheQueryTheyAreFor() throws IOException {
        for (int length : new int[] {20, 512, 4096}) {
            byte[] answer = udp(1000 + length, length);
            assertThat(answer).hasSize(length);
            assertThat((answer[0] & 0xff) << 8 | (answer[1] & 0xff)).isEqualTo(1000 + length);
            assertThat(answer[2] & 0x80).isEqualTo(0x80);
        }
    }

    @Test
    void oneConnectionServesSeveralLargeQueries() throws IOException {
        try (Socket socket = new Socket(InetAddress.ofLiteral(LOOPBACK), relay.port())) {
            assertThat(DnsServer.ask(socket, DnsServer.query(1, 65_535))).hasSize(65_535);
            assertThat(DnsServer.ask(socket, DnsServer.query(2, 600))).hasSize(600);
        }
    }

    @Test
    void silentServersEndInAFailureThatSaysSo() throws IOException {
        beShort();
        long begin = System.nanoTime();
        byte[] answer = udp(5, 0);
        long millis = (System.nanoTime() - begin) / 1_000_000;
        assertThat(answer).hasSize(20);
        assertThat(answer[3] & 0xf).as("SERVFAIL").isEqualTo(2);
        assertThat(millis).isGreaterThanOrEqualTo(2L * SHORT_MILLIS - 50);
        assertThat(server.datagrams.get()).isEqualTo(2);
        assertThat(DnsServer.askTcp(LOOPBACK, relay.port(), DnsServer.query(6, 0))[3] & 0xf)
                .isEqualTo(2);
    }

    @Test
    void theNextServerIsAskedAndAChangedFileFollowed() throws Exception {
        // Nobody listens there.
        resolvConf("nameserver 127.77.5.99\nnameserver " + serverAddress + "\n");
        Thread.sleep(600);
        assertThat(udp(9, 100)).hasSize(100);
        assertThat(DnsServer.askTcp(LOOPBACK, relay.port(), DnsServer.query(9, 100)))
                .hasSize(100);

        String elsewhere = "127.77.5.54";
        try (DnsServer moved = DnsServer.start(elsewhere)) {
            server.close();
            resolvConf("nameserver " + elsewhere + "\n");
            Thread.sleep(600);
            assertThat(udp(10, 100)).hasSize(100);
            assertThat(moved.datagrams.get()).isEqualTo(1);
        }
    }

    @Test
    void queriesInFlightAreBounded() throws Exception {
        beShort();
        try (DatagramSocket socket = new DatagramSocket()) {
            socket.connect(InetAddress.ofLiteral(LOOPBACK), relay.port());
            byte[] unanswered = DnsServer.query(1, 0);
            for (int i = 0; i < 4 * DnsRelay.QUERIES_MAX; i++) {
                socket.send(new DatagramPacket(unanswered, unanswered.length));
            }
            Thread.sleep(SHORT_MILLIS / 2);
            // Each is asked twice at most.
            assertThat(server.datagrams.get()).isLessThanOrEqualTo(2 * DnsRelay.QUERIES_MAX);
            assertThat(server.datagrams.get()).isGreaterThan(0);
        }
        // It recovers.
        Thread.sleep(10 * SHORT_MILLIS);
        assertThat(udp(2, 64)).hasSize(64);
    }

    @Test
    void idleConnectionsDontKeepOthersOutForEver() throws IOException {
        List<Socket> idle = new ArrayList<>();
        try {
            for (int i = 0; i < DnsRelay.CONNECTIONS_MAX - 1; i++) {
                idle.add(new Socket(InetAddress.ofLiteral(LOOPBACK), relay.port()));
            }
            assertThat(DnsServer.askTcp(LOOPBACK, relay.port(), DnsServer.query(3, 30)))
                    .hasSize(30);
        } finally {
            for (Socket socket : idle) {
                socket.close();
            }
        }
    }

    @Test
    void whatIsNoQueryIsNotPassedOn() throws IOException {
        byte[] response = DnsServer.query(1, 50);
        response[2] |= (byte) 0x80;
        for (byte[] message : new byte[][] {new byte[11], response}) {
            assertThatThrownBy(() -> DnsServer.askUdp(LOOPBACK, relay.port(), message, 200))
                    .isInstanceOf(SocketTimeoutException.class);
        }
        assertThat(server.datagrams.get()).isZero();
    }

    @Test
    void closingEndsWhatIsUnderWay() throws Exception {
        Socket idle = new Socket(InetAddress.ofLiteral(LOOPBACK), relay.port());
        try (idle) {
            assertThat(DnsServer.ask(idle, DnsServer.query(1, 30))).hasSize(30);
            relay.close();
            idle.setSoTimeout(2000);
            assertThat(idle.getInputStream().read()).isEqualTo(-1);
        }
    }

    @Test
    void resolvConfIsReadAsTheCLibraryDoes() {
        assertThat(Resolvers.parse(List.of(
                        "nameserver 127.0.0.53 # local",
                        "\tnameserver 1.2.3.4",
                        "nameserver\t2001:db8::1",
                        "nameservers 9.9.9.9",
                        "nameserver example.org",
                        "nameserver",
                        "nameserver 8.8.8.8",
                        "nameserver 8.8.4.4")))
                .extracting(InetAddress::getHostAddress)
                .containsExactly("127.0.0.53", "2001:db8:0:0:0:0:0:1", "8.8.8.8");
        assertThat(Resolvers.parse(List.of()))
                .extracting(InetAddress::isLoopbackAddress)
                .containsExactly(true);
    }
}
