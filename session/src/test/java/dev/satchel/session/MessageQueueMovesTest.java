package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import org.junit.jupiter.api.Test;

/** POSIX message queues of a session that is snapshotted, refused, and moved twice. {@code ObjectsTest} looks at one more closely. */
class MessageQueueMovesTest extends LiveTest {
    private static final String CALLS = """
            import ctypes, os, struct, time
            libc = ctypes.CDLL(None, use_errno=True)
            def queue(name, flags=os.O_RDWR | os.O_NONBLOCK):
                fd = libc.mq_open(name, flags | os.O_CREAT, 0o600, ctypes.create_string_buffer(struct.pack("qqqq", 0, 6, 64, 0) + bytes(32)))
                assert fd >= 0
                return fd
            def send(fd, text, priority):
                assert libc.mq_send(fd, text, ctypes.c_size_t(len(text)), priority) == 0
            def receive(fd):
                buffer, priority = ctypes.create_string_buffer(64), ctypes.c_uint()
                length = libc.mq_receive(fd, buffer, ctypes.c_size_t(64), ctypes.byref(priority))
                return buffer.raw[:length].decode() if length >= 0 else None
            def count(fd):
                found = ctypes.create_string_buffer(64)
                libc.mq_getattr(fd, found)
                return struct.unpack_from("qqqq", found)[3]
            """;

    /** Holds a queue by a descriptor, and one by its name; takes what is in them when told. */
    private static final String HOLDER = CALLS + """
            held = queue(b"/held")
            named = queue(b"/named")
            for text, priority in ((b"second", 2), (b"first", 7), (b"third", 2)):
                send(held, text, priority)
                send(named, text, priority)
            os.close(named)
            open("holds", "w").close()
            while not os.path.exists("go"):
                time.sleep(0.05)
            named = queue(b"/named", os.O_RDWR | os.O_NONBLOCK)
            taken = [receive(fd) for fd in (held, named) for _ in range(5)]
            with open("taken.new", "w") as file:
                file.write(" ".join(str(text) for text in taken))
            os.rename("taken.new", "taken")
            time.sleep(1000)
            """;

    private static final String COUNT = CALLS + "print(count(queue(b'/held')), count(queue(b'/named')))\n";

    private static final String NAMELESS = CALLS + """
            fd = queue(b"/gone")
            libc.mq_unlink(b"/gone")
            with open("nameless.new", "w") as file:
                file.write(str(os.getpid()))
            os.rename("nameless.new", "nameless")
            time.sleep(1000)
            """;

    @Test
    void messagesStayInTheirQueues() throws IOException {
        String name = name("queues");
        a.create(name);
        try (Running here = a.resume(name)) {
            here.put("holder.py", HOLDER);
            here.put("count.py", COUNT);
            here.put("nameless.py", NAMELESS);
            here.start("exec python3 holder.py");
            here.awaitFile("home/user/holds");
            here.snapshot();
            assertThat(count(here)).isEqualTo("3 3\n");
            here.start("exec python3 nameless.py");
            here.awaitFile("home/user/nameless");
            assertThatThrownBy(here::suspend)
                    .isInstanceOf(SatchelException.class)
                    .hasMessageContaining("can't be frozen")
                    .hasMessageMatching(".*/gone.*|.*process \\d+ python3.*");
            assertThat(count(here)).isEqualTo("3 3\n");
            here.sh(
                    "process=$(cat /home/user/nameless); kill $process; while kill -0 $process 2>/dev/null; do sleep 0.1; done");
            here.suspend();
        }
        try (Running there = b.resume(name)) {
            assertThat(count(there)).isEqualTo("3 3\n");
            there.snapshot();
            there.snapshot();
            there.suspend();
        }
        try (Running again = a.resume(name)) {
            assertThat(count(again)).isEqualTo("3 3\n");
            again.sh("touch /home/user/go");
            again.awaitFile("home/user/taken");
            assertThat(again.read("home/user/taken"))
                    .isEqualTo("first second third None None first second third None None");
        }
    }

    private static String count(Running session) throws IOException {
        return session.sh("cd /home/user; exec python3 count.py");
    }
}
