package dev.satchel.display.web;

import static org.assertj.core.api.Assertions.assertThat;

import dev.satchel.display.web.Connections.Standing;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class ConnectionsTest {
    private final Connections<Fake> connections = new Connections<>(4);
    private final List<String> aborted = new ArrayList<>();

    private final class Fake implements Connections.Open {
        private final String name;
        private final InetAddress peer;
        private Standing standing = Standing.STRANGER;

        Fake(String name, String peer) {
            this.name = name;
            this.peer = InetAddress.ofLiteral(peer);
        }

        @Override
        public InetAddress peer() {
            return peer;
        }

        @Override
        public Standing standing() {
            return standing;
        }

        @Override
        public void abort() {
            aborted.add(name);
        }
    }

    private Fake add(String name, String peer) {
        Fake fake = new Fake(name, peer);
        assertThat(connections.add(fake)).isTrue();
        return fake;
    }

    @Test
    void theLargestCrowdLosesItsOldest() {
        add("a", "192.0.2.1");
        add("b1", "2001:db8::1");
        add("c", "192.0.2.3");
        add("b2", "2001:db8::2:2"); // the same network of 64 bits
        add("d", "192.0.2.4");
        assertThat(aborted).containsExactly("b1");
        add("b3", "2001:db8::3");
        assertThat(aborted).containsExactly("b1", "a");
        add("e", "192.0.2.5");
        assertThat(aborted).containsExactly("b1", "a", "b2");
    }

    @Test
    void whoWasLetInGoesLastAndWhoIsServedNever() {
        Fake served = add("a1", "192.0.2.1");
        Fake idle = add("a2", "192.0.2.1");
        served.standing = Standing.SERVED;
        idle.standing = Standing.IDLE;
        add("b", "192.0.2.2");
        add("c", "192.0.2.3");
        add("d", "192.0.2.4").standing = Standing.SERVED;
        add("e", "192.0.2.5").standing = Standing.SERVED;
        assertThat(aborted).containsExactly("b", "c");
        add("f", "192.0.2.6").standing = Standing.SERVED;
        assertThat(aborted).containsExactly("b", "c", "a2");
        assertThat(connections.add(new Fake("g", "192.0.2.7"))).isFalse();
        connections.remove(served);
        add("h", "192.0.2.8");
        assertThat(aborted).containsExactly("b", "c", "a2");
    }
}
