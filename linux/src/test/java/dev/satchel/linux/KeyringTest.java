package dev.satchel.linux;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class KeyringTest {
    private final String description = "satchel-test:" + ProcessHandle.current().pid() + ":" + System.nanoTime();

    @AfterEach
    void forget() throws Exception {
        var key = Keyring.find(description);
        if (key.isPresent()) {
            Keyring.forget(key.get());
        }
    }

    @Test
    void keepsReplacesAndForgets() throws Exception {
        try (Arena arena = Arena.ofConfined()) {
            assertThat(Keyring.find(description)).isEmpty();
            Keyring.put(description, arena.allocateFrom("first"), 60);
            Keyring.Key second = Keyring.put(description, arena.allocateFrom("second one"), 60);
            Keyring.Key found = Keyring.find(description).orElseThrow();
            assertThat(found).isEqualTo(second);
            MemorySegment read = arena.allocate(100);
            assertThat(Keyring.read(found, read)).isEqualTo(11);
            assertThat(read.getString(0)).isEqualTo("second one");
            MemorySegment small = arena.allocate(4);
            assertThat(Keyring.read(found, small)).isEqualTo(11);
            assertThat(small.toArray(java.lang.foreign.ValueLayout.JAVA_BYTE)).containsOnly(0);
            Keyring.forget(found);
            assertThat(Keyring.find(description)).isEmpty();
            assertThat(Keyring.read(found, read)).isEqualTo(-1);
            Keyring.forget(found);
        }
    }

    @Test
    void expires() throws Exception {
        try (Arena arena = Arena.ofConfined()) {
            Keyring.Key key = Keyring.put(description, arena.allocateFrom("for a second or two"), 2);
            assertThat(Keyring.find(description)).contains(key);
            for (int i = 0; i < 50 && Keyring.find(description).isPresent(); i++) {
                Thread.sleep(100);
            }
            assertThat(Keyring.find(description)).isEmpty();
            assertThat(Keyring.read(key, arena.allocate(100))).isEqualTo(-1);
        }
    }

    @Test
    void anotherProcessInAnotherLoginSessionReadsIt() throws Exception {
        try (Arena arena = Arena.ofConfined()) {
            Keyring.put(description, arena.allocateFrom("shared between processes"), 60);
            Process other = java("dev.satchel.linux.KeyringTest$Reader", description);
            assertThat(new String(other.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
                    .isEqualTo("shared between processes");
            assertThat(other.waitFor()).isZero();
        }
    }

    /** Joins a new session keyring, as pam_keyinit does at login: it possesses nothing of the user keyring. */
    static final class Reader {
        private Reader() {}

        public static void main(String[] arguments) throws Exception {
            int keyctl = "aarch64".equals(System.getProperty("os.arch")) ? 219 : 250;
            int joinSessionKeyring = 1;
            if (Libc.call(Libc.function("syscall"), keyctl, joinSessionKeyring, 0) < 0) {
                throw new LinuxException("keyctl(KEYCTL_JOIN_SESSION_KEYRING)", Libc.errno());
            }
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment read = arena.allocate(100);
                Keyring.read(Keyring.find(arguments[0]).orElseThrow(), read);
                System.out.print(read.getString(0));
            }
        }
    }

    static Process java(String... arguments) throws Exception {
        return new ProcessBuilder(javaCommand(arguments))
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
    }

    /** A command that runs a class of these tests in another JVM. */
    static List<String> javaCommand(String... arguments) {
        List<String> command = new ArrayList<>(List.of(
                System.getProperty("java.home") + "/bin/java",
                "--enable-native-access=ALL-UNNAMED",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"))));
        command.addAll(List.of(arguments));
        return command;
    }
}
