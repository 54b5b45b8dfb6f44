package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.linux.Processes;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

/**
 * The supervisor is killed at any moment: the vault opens, the last snapshot is whole, the next command undoes what was left, and what
 * there is can be gone on from.
 */
class CrashTest extends LiveTest {
    private static final int KILLS = 4;

    @Test
    void killedWhileTheSessionRuns() throws IOException {
        String name = name("crash");
        a.create(name);
        String suspended;
        Running.Count before;
        try (Running here = a.resume(name).startCounting()) {
            here.sh("echo suspended >/home/user/file; sync");
            before = here.count();
            suspended = here.suspend().snapshot().toString();
        }
        try (SessionProcess process =
                SessionProcess.start(a, name, Optional.empty()).awaitRunning()) {
            sh(a, name, "echo synced >/home/user/file; sync; sync /home/user/file");
            process.kill();
        }
        SessionInfo crashed = a.with(satchel -> satchel.inspect(name));
        assertThat(crashed.state()).isEqualTo(SessionInfo.State.CRASHED);
        assertThatThrownBy(() -> a.with(satchel -> satchel.suspend(name))).hasMessageContaining("died");
        assertThatThrownBy(() -> b.resume(name)).satisfies(CrashTest::isInUse);
        assertThatThrownBy(() -> a.resume(name))
                .isInstanceOf(SatchelException.class)
                .hasMessageContaining("--fresh")
                .hasMessageContaining("--at " + suspended.substring(0, 12));
        assertThat(leftovers()).isEmpty();
        assertThat(a.state(name)).isEqualTo(SessionInfo.State.CRASHED);
        assertThat(site.verify().errors()).isEmpty();

        // What was synced is not lost, and booted from; what ran before is there, too.
        try (Running fresh = a.resumeFresh(name)) {
            assertThat(fresh.result().booted()).isTrue();
            assertThat(fresh.sh("cat /home/user/file")).isEqualTo("synced\n");
            fresh.suspend();
        }
        try (Running back = b.resumeAt(name, suspended)) {
            assertThat(back.result().booted()).isFalse();
            assertThat(back.sh("cat /home/user/file")).isEqualTo("suspended\n");
            back.assertGoesOnFrom(before);
            back.suspend();
        }
        assertThat(b.with(satchel -> satchel.history(name)).stream().map(SnapshotInfo::kind))
                .contains("crash");
    }

    @Test
    void killedWhileItSuspends() throws IOException {
        killedInTheMiddle("suspend", (process, random) -> {
            process.awaitRunning();
            Eventually.pause(random.nextInt(300));
        });
    }

    /** CRIU would wait for ever for an answer of a supervisor that died before it was asked, and keep all that it froze. */
    @Test
    void killedWhileCriuDumps() throws IOException {
        String name = name("crash");
        a.create(name);
        Running.Count before;
        String whole;
        try (Running here = a.resume(name).startCounting()) {
            before = here.count();
            whole = here.suspend().snapshot().toString();
        }
        String id = site.sessionId(name).toString();
        try (SessionProcess process =
                SessionProcess.start(a, name, Optional.of(whole)).awaitRunning()) {
            CompletableFuture<Void> suspending = CompletableFuture.runAsync(() -> {
                try {
                    a.with(satchel -> satchel.suspend(name));
                } catch (IOException e) {
                    return; // as it must, when who does it is killed
                }
            });
            AtomicReference<ProcessHandle> criu = new AtomicReference<>();
            Eventually.holds(60_000, "CRIU dumps", () -> {
                Optional<ProcessHandle> seen = dumping(id);
                // It may have ended since it was seen.
                if (seen.isPresent() && Processes.kill(seen.get().pid(), Processes.SIGSTOP)) {
                    criu.set(seen.get());
                }
                return criu.get() != null;
            });
            process.kill();
            assertThat(Processes.kill(criu.get().pid(), Processes.SIGCONT)).isTrue();
            suspending.join();
        }
        try (Running back = a.resumeAt(name, whole)) {
            assertThat(back.count().pid()).isEqualTo(before.pid());
            back.suspend();
        }
        assertThat(leftovers()).isEmpty();
    }

    /**
     * On a network of its own, as other sessions of this machine keep what all share. The kernel takes interfaces away with the
     * router's namespace, which the supervisor alone held; the table and forwarding are for the next command about the session.
     */
    @Test
    void killedWithItsNetworkUp() throws IOException {
        String name = name("crash");
        a.create(name);
        Process holder =
                new ProcessBuilder("unshare", "--net", "sh", "-c", "ip link set lo up; echo made; exec cat").start();
        List<String> there = List.of("nsenter", "--net=/proc/" + holder.pid() + "/ns/net");
        try {
            assertThat(holder.inputReader(StandardCharsets.UTF_8).readLine()).isEqualTo("made");
            String untouched = network(there);
            try (SessionProcess process =
                    SessionProcess.start(a, name, Optional.empty(), there).awaitRunning()) {
                a.with(satchel -> satchel.suspend(name));
                assertThat(process.awaitExit()).isZero();
            }
            assertThat(network(there)).isEqualTo(untouched);

            try (SessionProcess process =
                    SessionProcess.start(a, name, Optional.empty(), there).awaitRunning()) {
                assertThat(network(there)).contains("table inet satchel", "satchel-", "forwarding 1");
                process.kill();
            }
            Eventually.holds(60_000, "its interfaces go", () -> !network(there).contains("satchel-"));
            assertThat(network(there)).contains("table inet satchel", "forwarding 1");
            try (SessionProcess refused = SessionProcess.start(a, name, Optional.empty(), there)) {
                assertThat(refused.awaitExit()).isEqualTo(1);
            }
            assertThat(network(there)).isEqualTo(untouched);
            assertThat(leftovers()).isEmpty();
        } finally {
            holder.destroy();
        }
    }

    /** All that sessions change of a host's network. */
    private static String network(List<String> there) throws IOException {
        List<String> line = new ArrayList<>(there);
        line.addAll(List.of(
                "sh",
                "-c",
                "nft list tables; ip -o link | cut -d: -f2; ip -o address | cut -c1-60; echo forwarding"
                        + " $(cat /proc/sys/net/ipv4/conf/default/forwarding)"));
        return Ran.of(line).expect(0).out();
    }

    private static Optional<ProcessHandle> dumping(String id) {
        return ProcessHandle.allProcesses()
                .filter(process -> process.info()
                        .commandLine()
                        .filter(line -> line.contains(id) && line.contains("criu dump"))
                        .isPresent())
                .findFirst();
    }

    @Test
    void killedWhileItResumes() throws IOException {
        killedInTheMiddle("resume", (process, random) -> {});
    }

    /** Ctrl-C interrupts the thread that carries out the command. */
    @Test
    void interruptedWhileItResumes() throws IOException {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        String name = name("interrupted");
        a.create(name);
        Running.Count before;
        try (Running here = a.resume(name).startCounting()) {
            before = here.count();
            here.suspend();
        }
        for (int i = 0; i < 2 * KILLS; i++) {
            int delay = random.nextInt(600);
            String as = "interrupted after " + delay + " ms, seed " + seed;
            AtomicReference<Running> running = new AtomicReference<>();
            AtomicReference<Exception> failure = new AtomicReference<>();
            Thread command = Thread.ofPlatform().start(() -> {
                try {
                    running.set(a.resume(name));
                } catch (IOException | RuntimeException e) {
                    failure.set(e);
                }
            });
            Eventually.pause(delay);
            command.interrupt();
            try {
                command.join();
            } catch (InterruptedException e) {
                throw new IOException(e);
            }
            if (running.get() != null) {
                before = running.get().assertGoesOnFrom(before); // it came too late
                running.get().suspend();
            } else {
                assertThat(failure.get()).as(as).isInstanceOf(IOException.class);
                assertThat(leftovers()).as(as).isEmpty();
                assertThat(a.stateFiles()).as(as).allMatch(file -> file.equals("host-id") || file.startsWith("seen/"));
                assertThat(a.state(name)).as(as).isEqualTo(SessionInfo.State.SUSPENDED);
            }
        }
        try (Running back = b.resume(name)) {
            back.assertGoesOnFrom(before);
            back.suspend();
        }
    }

    private interface Approach {
        void to(SessionProcess process, Random random) throws IOException;
    }

    private void killedInTheMiddle(String what, Approach approach) throws IOException {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        String name = name("crash");
        a.create(name);
        Running.Count before;
        String whole;
        try (Running here = a.resume(name).startCounting()) {
            before = here.count();
            whole = here.suspend().snapshot().toString();
        }
        for (int kill = 0; kill < KILLS; kill++) {
            int delay = random.nextInt(what.equals("suspend") ? 900 : 1100);
            String as = what + " killed after " + delay + " ms, seed " + seed;
            try (SessionProcess process = SessionProcess.start(a, name, Optional.of(whole))) {
                approach.to(process, random);
                CompletableFuture<Boolean> suspending = new CompletableFuture<>();
                if (what.equals("suspend")) {
                    suspending = CompletableFuture.supplyAsync(() -> {
                        try {
                            a.with(satchel -> satchel.suspend(name));
                            return true;
                        } catch (IOException e) {
                            return false; // as it must, when who does it is killed
                        }
                    });
                } else {
                    suspending.complete(false);
                }
                Eventually.pause(delay);
                process.kill();
                if (suspending.join()) {
                    // It was done before: then all of it is there.
                    assertThat(a.state(name)).as(as).isEqualTo(SessionInfo.State.SUSPENDED);
                }
            }
            assertThat(site.verify().errors()).as(as).isEmpty();
            SessionInfo.State state = a.state(name);
            assertThat(state).as(as).isIn(SessionInfo.State.CRASHED, SessionInfo.State.SUSPENDED);
            if (state == SessionInfo.State.CRASHED) {
                try (Running refused = a.resume(name)) {
                    // Killed before programs ran: nothing was lost, it goes on where it was.
                    refused.assertGoesOnFrom(before);
                    whole = refused.suspend().snapshot().toString();
                    continue;
                } catch (SatchelException e) {
                    assertThat(e).as(as).hasMessageContaining("--fresh").hasMessageContaining("--at");
                    assertThat(leftovers()).as(as).isEmpty();
                }
            }
            try (Running back = state == SessionInfo.State.SUSPENDED ? a.resume(name) : a.resumeAt(name, whole)) {
                before = back.assertGoesOnFrom(
                        before.value() > 0 && state == SessionInfo.State.SUSPENDED ? before : back.count());
                before = back.count();
                whole = back.suspend().snapshot().toString();
            }
        }
        assertThat(site.verify().errors()).isEmpty();
    }

    private static String sh(TestHost host, String name, String script) throws IOException {
        return Ran.of(host.with(
                        satchel -> satchel.execCommand(name, Optional.of("user"), false, List.of("sh", "-c", script))))
                .expect(0)
                .out();
    }

    private static void isInUse(Throwable failure) {
        assertThat(failure).isInstanceOf(SatchelException.class);
        assertThat(((SatchelException) failure).kind()).isEqualTo(SatchelException.Kind.IN_USE);
    }
}
