package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;

import dev.satchel.vault.SessionId;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/** A session that runs, supervised by a thread of this JVM. Closing it ends it without a snapshot if it runs still. */
final class Running implements AutoCloseable {
    private static final long PATIENCE_MILLIS = 60_000;
    private static final List<Running> ALL = new ArrayList<>();

    final TestHost host;
    final String name;
    final SessionId id;
    final Supervisor supervisor;
    private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    private final Thread serving;

    Running(TestHost host, String name, SessionId id, Supervisor supervisor) {
        this.host = host;
        this.name = name;
        this.id = id;
        this.supervisor = supervisor;
        this.serving = Thread.ofPlatform().name("serve-" + name).daemon().start(() -> {
            try {
                supervisor.serve();
            } catch (IOException | RuntimeException e) {
                failure.set(e);
            }
        });
        synchronized (ALL) {
            ALL.add(this);
        }
    }

    /** Ends all that tests left running. */
    static void closeAll() throws IOException {
        List<Running> left;
        synchronized (ALL) {
            left = List.copyOf(ALL);
        }
        for (Running running : left) {
            running.close();
        }
    }

    ResumeResult result() {
        return supervisor.result();
    }

    RunDirectory directory() {
        return RunDirectory.of(host.host(), id);
    }

    /** The session's root file system as it is reached from outside. */
    Path root() {
        return directory().root();
    }

    /** Waits until it shows a terminal. */
    void awaitTerminal() throws IOException {
        Eventually.holds(
                60_000,
                name + " shows a terminal",
                () -> !sh("DISPLAY=:0 xdotool search --onlyvisible --class xterm || true")
                        .isBlank());
    }

    /** Waits for a window of that title. */
    void awaitWindow(String title) throws IOException {
        Eventually.holds(
                PATIENCE_MILLIS,
                name + " shows " + title,
                () -> !sh("DISPLAY=:0 xdotool search --onlyvisible --name '^" + title + "$' || true")
                        .isBlank());
    }

    /** Waits for a file inside, named from the session's root. */
    void awaitFile(String path) throws IOException {
        Eventually.holds(PATIENCE_MILLIS, name + " has " + path, () -> Files.exists(root().resolve(path)));
    }

    /** The same for one that is not on the session's disk. */
    void awaitInside(String path) throws IOException {
        Eventually.holds(
                PATIENCE_MILLIS,
                name + " has " + path,
                () -> exec("user", "test", "-e", path).code() == 0);
    }

    String read(String path) throws IOException {
        return Files.readString(root().resolve(path));
    }

    /** Runs a shell script inside as the session's user; it must succeed. @return what it printed */
    String sh(String script) throws IOException {
        return exec("user", "sh", "-c", script).expect(0).out();
    }

    /** The same as root inside. */
    String rootSh(String script) throws IOException {
        return exec("root", "sh", "-c", script).expect(0).out();
    }

    Ran exec(String user, String... command) throws IOException {
        return exec(user, new byte[0], command);
    }

    Ran exec(String user, byte[] input, String... command) throws IOException {
        List<String> line = host.with(satchel -> satchel.execCommand(name, Optional.of(user), false, List.of(command)));
        return Ran.of(line, input);
    }

    /** Starts something inside that goes on by itself, as a program of the desktop does. */
    void start(String script) throws IOException {
        exec(
                        "user",
                        "setsid",
                        "--fork",
                        "sh",
                        "-c",
                        "cd /home/user; export DISPLAY=:0; exec </dev/null >/dev/null 2>&1; " + script)
                .expect(0);
    }

    /** Puts one of the programs for tests into the user's home. */
    void put(Path file) throws IOException {
        put(String.valueOf(file.getFileName()), Files.readString(file));
    }

    /** The same with a text. */
    void put(String file, String text) throws IOException {
        exec("user", text.getBytes(StandardCharsets.UTF_8), "sh", "-c", "cat >/home/user/" + file)
                .expect(0);
    }

    /** Starts a program that counts in memory, and writes what it has counted to a file, twenty times a second. */
    Running startCounting() throws IOException {
        put("counting.py", """
                        import os, time
                        n = 0
                        while True:
                            n += 1
                            with open("/home/user/count.new", "w") as f:
                                f.write(f"{n} {os.getpid()}")
                            os.rename("/home/user/count.new", "/home/user/count")
                            time.sleep(0.05)
                        """);
        start("exec python3 counting.py");
        awaitFile("home/user/count");
        return this;
    }

    record Count(long value, long pid) {}

    Count count() throws IOException {
        String[] words = read("home/user/count").split(" ", -1);
        return new Count(Long.parseLong(words[0]), Long.parseLong(words[1].strip()));
    }

    /** That the counting program goes on, the same one, from {@code before} or later. */
    Count assertGoesOnFrom(Count before) throws IOException {
        Count first = count();
        assertThat(first.pid()).isEqualTo(before.pid());
        assertThat(first.value()).isGreaterThanOrEqualTo(before.value());
        Eventually.holds(PATIENCE_MILLIS, name + " goes on counting", () -> count().value() > first.value() + 2);
        return count();
    }

    SuspendResult suspend() throws IOException {
        SuspendResult result = host.with(satchel -> satchel.suspend(name));
        awaitEnd();
        return result;
    }

    SuspendResult snapshot() throws IOException {
        return host.with(satchel -> satchel.snapshot(name));
    }

    void stop() throws IOException {
        host.with(satchel -> satchel.stop(name));
        awaitEnd();
    }

    /** Waits until it is served no more, which must be without a failure. */
    void awaitEnd() throws IOException {
        join();
        Throwable failed = failure.get();
        if (failed != null) {
            throw new IOException("the supervisor of " + name + " failed", failed);
        }
    }

    private void join() throws IOException {
        try {
            serving.join(PATIENCE_MILLIS);
        } catch (InterruptedException e) {
            throw new IOException(e);
        }
        if (serving.isAlive()) {
            throw new AssertionError(name + " is still served");
        }
        synchronized (ALL) {
            ALL.remove(this);
        }
    }

    @Override
    public void close() throws IOException {
        supervisor.close();
        join();
    }
}
