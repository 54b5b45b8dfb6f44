package dev.satchel.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Test;

class ProcessesTest {
    @Test
    void knowsItself() throws Exception {
        assertThat(Processes.pid()).isEqualTo((int) ProcessHandle.current().pid());
        assertThat(Processes.uid()).isEqualTo((int) Files.getAttribute(Path.of("/proc/self"), "unix:uid"));
        assertThat(Processes.effectiveUid()).isEqualTo(Processes.uid());
    }

    @Test
    void signalsAndWaitsByDescriptor() throws Exception {
        Process sleeper = new ProcessBuilder("sleep", "60").start();
        try (PidFd process = PidFd.open(sleeper.pid())) {
            assertThat(process.awaitExit(0)).isFalse();
            long start = System.nanoTime();
            assertThat(process.awaitExit(50)).isFalse();
            assertThat(System.nanoTime() - start).isGreaterThanOrEqualTo(50_000_000);
            assertThat(process.signal(Processes.SIGTERM)).isTrue();
            assertThat(process.awaitExit(5_000)).isTrue();
            sleeper.waitFor();
            assertThat(process.signal(Processes.SIGTERM)).isFalse();
        }
        assertThat(Processes.kill(sleeper.pid(), 0)).isFalse();
        assertThatThrownBy(() -> PidFd.open(sleeper.pid())).hasMessageContaining("(ESRCH)");
    }

    @Test
    void subreaperReapsOrphans() throws Exception {
        Processes.setChildSubreaper(true);
        try {
            Process parent = new ProcessBuilder("sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!").start();
            long orphan =
                    Long.parseLong(new String(parent.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip());
            parent.waitFor();
            assertThat(Processes.reap(orphan)).isEmpty();
            try (PidFd process = PidFd.open(orphan)) {
                process.signal(Processes.SIGKILL);
                assertThat(process.awaitExit(5_000)).isTrue();
            }
            assertThat(Processes.reap(orphan)).hasValue(Processes.SIGKILL);
            assertThatThrownBy(() -> Processes.reap(orphan)).hasMessageContaining("(ECHILD)");
        } finally {
            Processes.setChildSubreaper(false);
        }
    }

    @Test
    void undumpableProtectsMemory() throws Exception {
        Processes.setDumpable(false);
        try {
            assertThat((int) Libc.call(Libc.function("prctl"), 3)).isZero();
        } finally {
            Processes.setDumpable(true);
        }
        assertThat((int) Libc.call(Libc.function("prctl"), 3)).isEqualTo(1);
    }

    @Test
    void oneThreadEntersANetworkNamespace() throws Exception {
        Process inside = new ProcessBuilder("unshare", "--net", "sh", "-c", "echo; read line")
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        try {
            assertThat(inside.getInputStream().read()).isEqualTo('\n');
            FutureTask<Path> where = new FutureTask<>(() -> {
                try (Fd namespace = Namespaces.of(inside.pid(), Namespaces.Kind.NET)) {
                    Namespaces.enter(namespace, Namespaces.Kind.NET);
                }
                return Files.readSymbolicLink(Path.of("/proc/thread-self/ns/net"));
            });
            Thread.ofPlatform().start(where);
            Path theirs = Files.readSymbolicLink(Path.of("/proc/" + inside.pid() + "/ns/net"));
            assertThat(where.get()).isEqualTo(theirs);
            assertThat(Files.readSymbolicLink(Path.of("/proc/thread-self/ns/net")))
                    .isNotEqualTo(theirs);
        } finally {
            inside.destroyForcibly().waitFor();
        }
    }

    @Test
    void userNamespaceLeavesNoProcess() throws Exception {
        try (Fd namespace = Namespaces.user(List.of(new IdMap(0, 100_000, 1)), List.of(new IdMap(0, 100_000, 1)))) {
            assertThat(Files.readSymbolicLink(namespace.path()))
                    .isNotEqualTo(Files.readSymbolicLink(Path.of("/proc/self/ns/user")));
        }
        assertThat(ProcessHandle.current()
                        .children()
                        .filter(child -> child.info().command().orElse("").endsWith("unshare")))
                .isEmpty();
        assertThatThrownBy(() -> Namespaces.user(List.of(new IdMap(0, 0, 0)), List.of()))
                .hasMessageContaining("uid_map");
    }
}
