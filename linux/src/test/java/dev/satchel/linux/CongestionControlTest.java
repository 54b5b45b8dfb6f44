package dev.satchel.linux;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class CongestionControlTest {
    /** As ss(8) shows a port's connections. */
    private static String connections(int port) throws IOException {
        Process ss = new ProcessBuilder("ss", "-Htin", "sport", "=", ":" + port).start();
        return new String(ss.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    }

    @Test
    void connectionsHaveWhatTheListenerHas() throws Exception {
        for (String host : new String[] {"127.0.0.1", "::1"}) {
            try (ServerSocket listener = new ServerSocket(0, 5, InetAddress.getByName(host));
                    ServerSocket other = new ServerSocket(0, 5, InetAddress.getByName(host))) {
                assertThat(CongestionControl.ofListener(listener.getLocalPort(), "reno"))
                        .isTrue();
                assertThat(CongestionControl.ofListener(listener.getLocalPort(), "nosuch"))
                        .isFalse();
                try (Socket near = new Socket(host, listener.getLocalPort());
                        Socket accepted = listener.accept();
                        Socket beside = new Socket(host, other.getLocalPort());
                        Socket besideAccepted = other.accept()) {
                    assertThat(near.isConnected() && beside.isConnected()).isTrue();
                    assertThat(connections(accepted.getLocalPort())).contains(" reno ");
                    assertThat(connections(besideAccepted.getLocalPort()))
                            .isNotBlank()
                            .doesNotContain(" reno ");
                }
            }
        }
    }

    @Test
    void whereNobodyListensNothingIsSet() throws IOException {
        int port;
        try (ServerSocket listener = new ServerSocket(0)) {
            port = listener.getLocalPort();
        }
        assertThat(CongestionControl.ofListener(port, "reno")).isFalse();
    }
}
