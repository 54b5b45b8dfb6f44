package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.vault.HostId;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** One writer a session: whoever else wants it is told who has it; who loses it can't write any more. */
class LeaseTest extends LiveTest {
    @Test
    void aRunningSessionIsInUseHereAndElsewhere() throws IOException {
        String name = name("used");
        a.create(name);
        try (Running here = a.resume(name)) {
            for (TestHost host : new TestHost[] {a, b}) {
                assertThatThrownBy(() -> host.resume(name)).satisfies(LeaseTest::isInUseNamingTheHost);
            }
            assertThat(a.state(name)).isEqualTo(SessionInfo.State.RUNNING);
            assertThat(b.state(name)).isEqualTo(SessionInfo.State.ELSEWHERE);
            assertThat(b.with(satchel -> satchel.inspect(name)).host())
                    .contains(a.host().name());
            for (TestHost.Command<?> command : List.<TestHost.Command<?>>of(
                    satchel -> satchel.suspend(name),
                    satchel -> satchel.stop(name),
                    satchel -> satchel.snapshot(name),
                    satchel -> {
                        satchel.remove(name, false);
                        return true;
                    })) {
                assertThatThrownBy(() -> b.with(command)).satisfies(LeaseTest::isInUseNamingTheHost);
            }
            assertThat(b.stateFiles()).allMatch(file -> file.equals("host-id") || file.startsWith("seen/"));
            here.sh("true");
            here.suspend();
        }
        assertThat(b.state(name)).isEqualTo(SessionInfo.State.SUSPENDED);
    }

    private static void isInUseNamingTheHost(Throwable failure) {
        assertThat(failure).isInstanceOf(SatchelException.class);
        assertThat(((SatchelException) failure).kind()).isEqualTo(SatchelException.Kind.IN_USE);
        try {
            assertThat(failure)
                    .hasMessageContaining(
                            java.nio.file.Files.readString(java.nio.file.Path.of("/proc/sys/kernel/hostname"))
                                    .strip());
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    @Test
    void whoLosesASessionCannotWriteAnyMoreAndEnds() throws IOException {
        String name = name("taken");
        a.create(name);
        String kept;
        try (Running here = a.resume(name).startCounting()) {
            here.sh("echo kept >/home/user/file");
            kept = here.snapshot().snapshot().toString();
            here.sh("echo lost >/home/user/file");
            // Another machine, which sees nothing of this one's locks.
            site.inVault(vault -> {
                vault.acquire(here.id, HostId.random(), "elsewhere", true).close();
                return true;
            });
            for (TestHost.Command<?> command :
                    List.<TestHost.Command<?>>of(satchel -> satchel.snapshot(name), satchel -> satchel.suspend(name))) {
                // It is told who has it now, or that it ran here, if it has ended by then.
                assertThatThrownBy(() -> a.with(command))
                        .isInstanceOf(SatchelException.class)
                        .satisfiesAnyOf(
                                LeaseTest::isInUse,
                                e -> assertThat(e)
                                        .hasMessageMatching("(?s).*(died|does not run|has just ended|just now).*"));
                assertThat(newest(b, name)).isEqualTo(kept);
            }
            endsAsLost(here);
        }
        try (Running there = b.resumeAt(name, kept)) {
            assertThat(there.sh("cat /home/user/file")).isEqualTo("kept\n");
            there.suspend();
        }
        assertThat(site.verify().errors()).isEmpty();
    }

    private void endsAsLost(Running loser) throws IOException {
        assertThatThrownBy(loser::awaitEnd)
                .hasRootCauseInstanceOf(SatchelException.class)
                .satisfies(e -> {
                    assertThat(e.getCause()).satisfies(LeaseTest::isInUse).hasMessageContaining("taken over");
                    assertThat(e.getCause().getSuppressed()).isEmpty();
                });
        assertThat(leftovers()).isEmpty();
        assertThat(loser.host.stateFiles()).allMatch(file -> file.equals("host-id") || file.startsWith("seen/"));
    }

    @Test
    void aSessionIsTakenFromAHostThatLives() throws IOException {
        String name = name("taken");
        a.create(name);
        try (Running here = a.resume(name).startCounting()) {
            here.snapshot();
            here.sh("echo synced >/home/user/file; sync /home/user/file");
            // It waits for the other to let go; what that had made durable is not lost.
            assertThatThrownBy(() -> b.resume(new ResumeRequest(name, Optional.empty(), false, true, Optional.empty())))
                    .isInstanceOf(SatchelException.class)
                    .hasMessageContaining("--fresh");
            endsAsLost(here);
            assertThatThrownBy(() -> a.with(satchel -> satchel.suspend(name))).isInstanceOf(SatchelException.class);
        }
        try (Running there = b.resumeFresh(name)) {
            assertThat(there.sh("cat /home/user/file")).isEqualTo("synced\n");
            there.suspend();
        }
        assertThat(site.verify().errors()).isEmpty();
    }

    @Test
    void aTakerIsToldOfALoserWhoDoesNotLetGo() throws IOException {
        String name = name("taken");
        a.create(name);
        try (SessionProcess loser =
                SessionProcess.start(a, name, Optional.empty()).awaitRunning()) {
            loser.pause();
            assertThatThrownBy(() -> b.resume(new ResumeRequest(name, Optional.empty(), false, true, Optional.empty())))
                    .satisfies(LeaseTest::isInUse)
                    .hasMessageContaining("still writes")
                    .hasMessageNotContaining("\n");
            loser.goOn();
            assertThat(loser.awaitExit()).isNotZero();
        }
        try (Running there = b.resume(name)) {
            there.suspend();
        }
        assertThat(site.verify().errors()).isEmpty();
    }

    @Test
    void aSessionIsTakenFromAHostThatDied() throws IOException {
        String name = name("taken");
        a.create(name);
        String kept;
        try (Running here = a.resume(name)) {
            here.sh("echo kept >/home/user/file; sync /home/user/file");
            kept = here.suspend().snapshot().toString();
        }
        try (SessionProcess died =
                SessionProcess.start(a, name, Optional.empty()).awaitRunning()) {
            died.kill();
        }
        assertThatThrownBy(() -> b.resume(name)).satisfies(LeaseTest::isInUseNamingTheHost);
        assertThatThrownBy(() -> b.resume(new ResumeRequest(name, Optional.empty(), false, true, Optional.empty())))
                .isInstanceOf(SatchelException.class)
                .hasMessageContaining("--at " + kept.substring(0, 12));
        try (Running there = b.resumeAt(name, kept)) {
            assertThat(there.sh("cat /home/user/file")).isEqualTo("kept\n");
            // Who comes back from the dead is told, and its leftovers go.
            assertThatThrownBy(() -> a.resume(name)).satisfies(LeaseTest::isInUseNamingTheHost);
            there.sh("true");
            there.suspend();
        }
    }

    private static void isInUse(Throwable failure) {
        assertThat(failure).isInstanceOf(SatchelException.class);
        assertThat(((SatchelException) failure).kind()).isEqualTo(SatchelException.Kind.IN_USE);
    }

    private static String newest(TestHost host, String name) throws IOException {
        return host.with(satchel -> satchel.inspect(name))
                .snapshot()
                .orElseThrow()
                .toString();
    }
}
