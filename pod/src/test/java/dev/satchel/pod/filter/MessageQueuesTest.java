package dev.satchel.pod.filter;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Real queues in IPC namespaces made for it; images that are written here. */
class MessageQueuesTest {
    private static final int MOUNTS = 0x55563928;
    private static final int FILES = 0x56303138;

    /** Knows the few calls by their C names, tells of what it is asked, one word a line. */
    private static final String PROGRAM = """
            import ctypes, os, struct, sys
            libc = ctypes.CDLL(None, use_errno=True)
            def attributes(*numbers):
                return ctypes.create_string_buffer(struct.pack("qqqq", *numbers) + bytes(32))
            def send(fd, text, priority):
                assert libc.mq_send(fd, text, ctypes.c_size_t(len(text)), priority) == 0
            def look(name):
                fd = libc.mq_open(name, os.O_RDWR | os.O_NONBLOCK)
                if fd < 0:
                    return "none"
                found = attributes(0, 0, 0, 0)
                libc.mq_getattr(fd, found)
                _, most, size, count = struct.unpack_from("qqqq", found)
                status = os.fstat(fd)
                told = [most, size, oct(status.st_mode & 0o7777), status.st_uid, status.st_gid]
                buffer, priority = ctypes.create_string_buffer(size), ctypes.c_uint()
                for _ in range(count):
                    length = libc.mq_receive(fd, buffer, ctypes.c_size_t(size), ctypes.byref(priority))
                    told.append(f"{buffer.raw[:length].decode()}/{priority.value}")
                return told
            assert libc.mount(b"dev", b"/dev", b"tmpfs", 0, None) == 0
            os.mkdir("/dev/mqueue")
            assert libc.mount(b"mqueue", b"/dev/mqueue", b"mqueue", 0, None) == 0
            kept = []
            print("ready", flush=True)
            for line in sys.stdin:
                if line == "make\\n":
                    os.umask(0)
                    fd = libc.mq_open(b"/one", os.O_RDWR | os.O_CREAT, 0o621, attributes(0, 5, 100, 0))
                    os.fchown(fd, 1000, 1001)
                    for text, priority in ((b"low", 1), (b"high", 9), (b"", 5), (b"high again", 9)):
                        send(fd, text, priority)
                    kept.append(fd)
                    libc.mq_open(b"/two", os.O_RDWR | os.O_CREAT, 0o600, attributes(0, 1, 1, 0))
                    print(os.fstat(fd).st_ino, flush=True)
                elif line == "notify\\n":
                    print(libc.mq_notify(kept[0], ctypes.create_string_buffer(struct.pack("Qii", 42, 10, 0) + bytes(48))), flush=True)
                elif line == "look\\n":
                    print(look(b"/one"), look(b"/two"), flush=True)
            """;

    private static final String ONE =
            "[5, 100, '0o621', 1000, 1001, 'high/9', 'high again/9', '/5', 'low/1'] [1, 1, '0o600', 0, 0]";

    @TempDir
    private Path directory = Path.of("");

    private final List<Process> started = new ArrayList<>();

    private record Namespace(Process process, BufferedReader out) {
        String ask(String question) throws IOException {
            process.getOutputStream().write((question + "\n").getBytes(StandardCharsets.UTF_8));
            process.getOutputStream().flush();
            return out.readLine();
        }

        long pid() {
            return process.pid(); // unshare becomes the program
        }
    }

    private Namespace namespace() throws IOException {
        Process process = new ProcessBuilder("unshare", "--ipc", "--mount", "/usr/bin/python3", "-c", PROGRAM)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        started.add(process);
        Namespace namespace = new Namespace(process, process.inputReader(StandardCharsets.UTF_8));
        assertThat(namespace.out().readLine()).isEqualTo("ready");
        return namespace;
    }

    @AfterEach
    void end() throws Exception {
        for (Process process : started) {
            process.destroyForcibly().waitFor();
        }
    }

    @Test
    void carriesQueuesAndLeavesThemAsTheyWere() throws Exception {
        Namespace here = namespace();
        String inode = Long.toHexString(Long.parseLong(here.ask("make")));
        MessageQueues queues = MessageQueues.find(here.pid());
        assertThat(queues.external()).contains("mnt[/dev/mqueue]:satchel-mqueue");
        List<String> files = queues.external().stream()
                .filter(one -> one.endsWith(":" + inode + "]"))
                .toList();
        assertThat(files).hasSize(2); // by mq_open, and by /dev/mqueue
        assertThat(queues.capture(0)).isEmpty();

        Bytes mount = new Bytes().number(1, 14).number(2, 77).bytes(7, text("/dev/mqueue"));
        Files.write(
                directory.resolve("mountpoints-12.img"),
                Bytes.image(MOUNTS, new Bytes().number(2, 70), mount.bytes(18, text("satchel-mqueue"))));
        Files.write(
                directory.resolve("files.img"),
                Bytes.image(
                        FILES,
                        file(1, text("/etc/hosts"), 0),
                        new Bytes()
                                .number(1, 1)
                                .number(2, 5)
                                .message(
                                        3,
                                        new Bytes()
                                                .number(1, 5)
                                                .number(2, 2050)
                                                .bytes(6, text(files.getLast()))
                                                .number(8, 80)
                                                .number(9, 1)
                                                .number(10, 0100621)
                                                .number(14, 3))));
        for (int times = 0; times < 2; times++) {
            ImageDirectory.apply(directory, List.of(queues));
        }
        assertThat(Files.readAllBytes(directory.resolve("mountpoints-12.img")))
                .isEqualTo(Bytes.image(
                        MOUNTS,
                        new Bytes().number(2, 70),
                        new Bytes().number(1, 14).number(2, 77).bytes(7, text("/dev/mqueue"))));
        assertThat(Files.readAllBytes(directory.resolve("files.img")))
                .isEqualTo(Bytes.image(
                        FILES,
                        file(1, text("/etc/hosts"), 0),
                        new Bytes()
                                .number(1, 1)
                                .number(2, 5)
                                .message(
                                        3,
                                        new Bytes()
                                                .number(1, 5)
                                                .number(2, 2050)
                                                .bytes(6, text("/dev/mqueue/one"))
                                                .number(10, 0100621)
                                                .number(7, 77 << 1))));
        assertThat(here.ask("look")).isEqualTo(ONE);

        Namespace there = namespace();
        MessageQueues.read(directory).create(there.pid(), 0);
        assertThat(there.ask("look")).isEqualTo(ONE);
        assertThatThrownBy(() -> MessageQueues.read(directory).create(there.pid(), 0))
                .hasMessageContaining("of the session could not be made again")
                .hasMessageContaining("EEXIST");
    }

    private static byte[] text(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static Bytes file(long id, byte[] name, long size) {
        return new Bytes()
                .number(1, 1)
                .number(2, id)
                .message(3, new Bytes().number(1, id).bytes(6, name).number(8, size));
    }

    @Test
    void doesNothingWhereThereAreNone() throws Exception {
        MessageQueues queues = MessageQueues.find(namespace().pid());
        assertThat(queues.external()).isEmpty();
        assertThat(queues.capture(0)).isEmpty();
        ImageDirectory.apply(directory, List.of(queues));
        assertThat(directory).isEmptyDirectory();
        MessageQueues.read(directory).create(1, 0);
    }

    @Test
    void touchesNoneThatSomebodyWaitsToBeNotifiedOf() throws Exception {
        Namespace here = namespace();
        here.ask("make");
        assertThat(here.ask("notify")).isEqualTo("0");
        MessageQueues queues = MessageQueues.find(here.pid());
        assertThat(queues.capture(0).orElseThrow()).contains("message queue /one (process " + here.pid() + " python3)");
        assertThat(here.ask("look")).isEqualTo(ONE);
    }
}
