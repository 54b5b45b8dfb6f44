package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** Root inside is nobody outside: {@code inside/probe.py} tries to get out, after a boot and after a restore. */
class ContainmentTest extends LiveTest {
    @Test
    void nobodyGetsOut() throws IOException {
        String name = name("contained");
        a.create(name);
        try (Running here = a.resume(name)) {
            here.put(Site.inside("probe.py"));
            assertContained(here, "root");
            assertContained(here, "user");
            here.suspend();
        }
        try (Running there = b.resume(name)) {
            assertContained(there, "root");
            assertContained(there, "user");
        }
    }

    private void assertContained(Running session, String user) throws IOException {
        Path secret = Files.createTempFile(site.directory(), "host-", ".secret");
        Files.writeString(secret, "the host's own");
        List<ServerSocket> listening = new ArrayList<>();
        Process neighbour = new ProcessBuilder("sleep", "1000").start();
        try {
            List<String> line = new ArrayList<>(List.of(
                    "python3",
                    "-B",
                    "/home/user/probe.py",
                    "--host-pid",
                    Long.toString(neighbour.pid()),
                    "--host-file",
                    secret.toString(),
                    "--host-directory",
                    site.directory().toString()));
            for (NetworkInterface own : Collections.list(NetworkInterface.getNetworkInterfaces())) {
                if (!own.getName().equals("lo") && !own.getName().equals("eth0")) { // a session has these, too
                    line.addAll(List.of("--host-interface", own.getName()));
                }
                for (InetAddress address : Collections.list(own.getInetAddresses())) {
                    if (address instanceof java.net.Inet4Address && !address.isLoopbackAddress()) {
                        ServerSocket server = new ServerSocket();
                        listening.add(server);
                        server.bind(new InetSocketAddress(address, 0));
                        line.addAll(List.of("--host-address", address.getHostAddress() + ":" + server.getLocalPort()));
                    }
                }
            }
            assertThat(listening)
                    .as("this machine has no address that could be reached")
                    .isNotEmpty();
            Ran ran = session.exec(user, line.toArray(String[]::new));
            Map<String, String> open = new TreeMap<>();
            int probes = 0;
            for (String verdict : ran.out().strip().split("\n", -1)) {
                JsonObject probe = Json.read(verdict.getBytes(StandardCharsets.UTF_8));
                probes++;
                if (!probe.truth("contained")) {
                    open.put(probe.text("probe"), probe.text("detail"));
                }
            }
            assertThat(open).as("open to " + user).isEmpty();
            assertThat(probes).as(ran.err()).isGreaterThan(50);
            assertThat(neighbour.isAlive()).isTrue();
        } finally {
            neighbour.destroyForcibly();
            for (ServerSocket server : listening) {
                server.close();
            }
        }
    }
}
