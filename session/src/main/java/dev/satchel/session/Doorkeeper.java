package dev.satchel.session;

import dev.satchel.display.Display;
import dev.satchel.display.web.Api;
import dev.satchel.display.web.Doorway;
import dev.satchel.display.web.ViewerServer;
import dev.satchel.linux.LinuxException;
import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Answers the pages of a session that has been suspended, at the port where they know it, so that it can be resumed from there. It has
 * nothing of the session, neither keys nor files; who ends it harms nothing. A supervisor of the session on this host has it leave
 * before it listens there itself. Call {@link #serve} once.
 */
public final class Doorkeeper {
    private static final long IDLE_MILLIS_MAX = 600_000;
    private static final long DISMISS_MILLIS_MAX = 4_000;
    private static final long ANSWER_MILLIS_MAX = 1_000;
    private static final long LAUNCHER_SECONDS_MAX = 60;
    private static final int WORDS_BYTES_MAX = 8192;
    private static final String OURS = "satchel: ";

    private final Door door;
    private final Links links;
    private final Resume resume;
    private final boolean asksNothing;
    private final long idleMillisMax;
    private final RemoteViewers elsewhere;

    /** The lock for all that follows. */
    private final Object lock = new Object();

    private @Nullable ViewerServer server;
    private String asKept = "";
    private @Nullable Resuming resuming;
    private @Nullable Process launcher;
    /** Nobody is to be answered any more; all that had to be done before is done. */
    private boolean leaving;

    private boolean left;
    private int unsent;
    private long emptySinceNanos = System.nanoTime();

    /** A resume that a page asked for. */
    private static final class Resuming {
        final CountDownLatch over = new CountDownLatch(1);
        private @Nullable Failed failed;

        synchronized void end(@Nullable Failed how) {
            if (over.getCount() > 0) {
                failed = how;
                over.countDown();
            }
        }

        synchronized @Nullable Failed failed() {
            return failed;
        }
    }

    private record Failed(int exitCode, String words) {}

    /**
     * @param resume the command that resumes a session
     * @param asksNothing whether that finds the passphrase by itself; else only once the vault was unlocked
     */
    Doorkeeper(Door door, Resume resume, boolean asksNothing, long idleMillisMax) {
        this.door = door;
        this.links = new Links(door.links());
        this.resume = resume;
        this.asksNothing = asksNothing;
        this.idleMillisMax = idleMillisMax;
        this.elsewhere =
                new RemoteViewers(door.session(), door.state(), this::noDisplay, this::answer, this::viewerLeft);
    }

    /** How a resume is made. */
    public interface Resume {
        /** @param at a snapshot's label, its id or a prefix of that: what a page said, who may control the session */
        List<String> of(String session, Optional<String> at);
    }

    /**
     * @param json of {@link Door#toJson}
     * @param resume the command that resumes a session in the background
     * @param asksNothing whether that finds the passphrase by itself; else only once the vault was unlocked
     */
    public static Doorkeeper at(byte[] json, Resume resume, boolean asksNothing) throws IOException {
        Door door = Door.of(json);
        return new Doorkeeper(door, resume, asksNothing, IDLE_MILLIS_MAX);
    }

    /** Answers until it is told to leave, or no page has been there for ten minutes. */
    public void serve() throws IOException {
        Files.createDirectories(door.socket().getParent());
        ControlServer control = ControlServer.listen(door.socket(), this::command);
        try (control) {
            // From here on a supervisor that comes finds this one; one that came before has the links already, or takes
            // them.
            Optional<String> found = Files.exists(door.run()) ? Optional.empty() : links.look();
            if (found.isEmpty() || !open(found.get())) {
                return;
            }
            await();
        } finally {
            close();
        }
        control.awaitAnswers();
        Process started;
        synchronized (lock) {
            started = launcher;
        }
        if (started != null) {
            awaitLauncher(started);
        }
    }

    /** @return false if somebody else has the port, or it is to leave already */
    private boolean open(String lines) throws IOException {
        // For browsers here, VNC clients, which have to wait, and browsers elsewhere.
        String[] kept = lines.split("\n", -1);
        Optional<Doorway> doorway = Doorway.of(kept[0]);
        if (doorway.isEmpty()) {
            return false;
        }
        synchronized (lock) {
            if (leaving) {
                return false;
            }
            ViewerServer opened = new ViewerServer(
                    ViewerServer.Settings.loopback(door.session()).after(doorway), this::noDisplay, this::answer);
            if (opened.port() != doorway.get().port()) {
                opened.close();
                return false;
            }
            opened.sharePort();
            opened.tellState(ViewerServer.STATE_SUSPENDED, "");
            opened.onLastViewerLeft(this::viewerLeft);
            if (kept.length > 2) {
                elsewhere.reopen(kept[2]);
                elsewhere.tellState(ViewerServer.STATE_SUSPENDED, "");
            }
            server = opened;
            asKept = lines;
            return true;
        }
    }

    private Display noDisplay() throws IOException {
        throw new IOException("'" + door.session() + "' is suspended");
    }

    private void viewerLeft() {
        synchronized (lock) {
            emptySinceNanos = System.nanoTime();
            lock.notifyAll();
        }
    }

    private void await() throws IOException {
        try {
            synchronized (lock) {
                while (!left) {
                    ViewerServer open = server;
                    int viewers = elsewhere.viewers() + (open == null ? 0 : open.viewers());
                    if (resuming != null || viewers > 0) {
                        lock.wait(); // until the last one leaves
                        continue;
                    }
                    long millis = idleMillisMax - (System.nanoTime() - emptySinceNanos) / 1_000_000;
                    if (millis <= 0) {
                        return;
                    }
                    lock.wait(millis);
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw (IOException) new InterruptedIOException("interrupted: pages are not answered any more").initCause(e);
        }
    }

    private void close() {
        ViewerServer open;
        synchronized (lock) {
            leaving = true;
            open = server;
            server = null;
        }
        if (open != null) {
            open.close();
        }
        elsewhere.close();
    }

    /** The launcher's words must be read to its end, or it would be ended by them. */
    private static void awaitLauncher(Process launcher) {
        try {
            boolean ignored = launcher.waitFor(LAUNCHER_SECONDS_MAX, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    // ---- What pages ask

    private Api.Response answer(Api.Request request) throws IOException {
        boolean get = request.method().equals("GET");
        if (get && request.path().equals("session")) {
            return json(
                    200,
                    Map.of(
                            "name", door.session(),
                            "state", "suspended",
                            "image", door.image(),
                            "created", door.created().toString(),
                            "actions", request.control() ? List.of("resume") : List.of()));
        }
        if (request.method().equals("POST") && request.path().equals("resume")) {
            Optional<String> at;
            try {
                at = at(request.text());
            } catch (IOException e) {
                return refused(400, Objects.requireNonNullElse(e.getMessage(), "that is no request"));
            }
            return resume(at);
        }
        return refused(409, "'" + door.session() + "' is suspended: resume it first");
    }

    /** The snapshot that a request names, if it does; whether there is such a one, the command finds out. */
    private static Optional<String> at(String body) throws IOException {
        if (body.isBlank()) {
            return Optional.empty();
        }
        Optional<String> at = Json.read(body.getBytes(StandardCharsets.UTF_8)).optionalText("at");
        if (at.isPresent()) {
            Satchel.checkLabel(at.get()); // no id is longer either
        }
        return at;
    }

    private Api.Response resume(Optional<String> at) throws IOException {
        if (!asksNothing && !door.isVaultUnlocked()) {
            return refused(
                    409,
                    "the vault is locked on this host: type 'satchel vault unlock' there, then resume '"
                            + door.session() + "' again");
        }
        Resuming mine = new Resuming();
        synchronized (lock) {
            if (resuming != null || leaving) {
                return refused(409, "'" + door.session() + "' is being resumed already: this page goes on by itself");
            }
            resuming = mine;
        }
        tell(ViewerServer.STATE_RESUMING, at.isPresent() ? "It goes back to an earlier instant." : "");
        try {
            Process process = new ProcessBuilder(resume.of(door.session(), at))
                    .directory(new File("/"))
                    .redirectInput(ProcessBuilder.Redirect.from(new File("/dev/null")))
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .start();
            synchronized (lock) {
                launcher = process;
            }
            Thread.ofPlatform().name("launcher").daemon().start(() -> mine.end(follow(process)));
            mine.over.await();
        } catch (IOException e) {
            mine.end(new Failed(1, "it could not be resumed: " + e.getMessage()));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            mine.end(new Failed(1, "interrupted"));
        }
        Failed failed = mine.failed();
        if (failed == null) {
            return resumed();
        }
        synchronized (lock) {
            resuming = null;
            emptySinceNanos = System.nanoTime();
            lock.notifyAll();
        }
        tell(ViewerServer.STATE_SUSPENDED, "");
        return refused(status(failed.exitCode()), failed.words());
    }

    private void tell(int state, String text) {
        ViewerServer open;
        synchronized (lock) {
            open = server;
        }
        if (open != null) {
            open.tellState(state, text);
        }
        elsewhere.tellState(state, text);
    }

    /** @return null once it is done, which a supervisor that has this one leave tells sooner */
    private static @Nullable Failed follow(Process process) {
        try (InputStream words = process.getErrorStream()) {
            byte[] bytes = words.readNBytes(WORDS_BYTES_MAX);
            long ignored = words.transferTo(java.io.OutputStream.nullOutputStream());
            int code = process.waitFor();
            return code == 0 ? null : new Failed(code, failure(new String(bytes, StandardCharsets.UTF_8)));
        } catch (IOException e) {
            return new Failed(1, "what became of it is not known: " + e.getMessage());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return new Failed(1, "interrupted");
        }
    }

    /** The last line of the program's own, which is why it failed. */
    private static String failure(String words) {
        String last = "it could not be resumed: see 'satchel doctor'";
        for (String line : words.split("\n", -1)) {
            if (line.startsWith(OURS)) {
                last = line.substring(OURS.length());
            }
        }
        return last;
    }

    private static int status(int exitCode) {
        return exitCode == SatchelException.Kind.NOT_FOUND.exitCode()
                ? 404
                : exitCode == SatchelException.Kind.IN_USE.exitCode() ? 409 : 500;
    }

    /** Told to the page before its connection is closed. */
    private Api.Response resumed() throws IOException {
        byte[] nothing = "{}".getBytes(StandardCharsets.UTF_8);
        synchronized (lock) {
            unsent++;
            resuming = null;
            lock.notifyAll();
        }
        InputStream body = new ByteArrayInputStream(nothing) {
            private boolean sent;

            @Override
            public void close() {
                synchronized (lock) {
                    unsent -= sent ? 0 : 1;
                    sent = true;
                    // A supervisor that could not have this one leave is somewhere else.
                    left |= !leaving;
                    lock.notifyAll();
                }
            }
        };
        return new Api.Response(200, "application/json", nothing.length, body, Optional.empty());
    }

    private static Api.Response refused(int status, String why) throws IOException {
        return json(status, Map.of("error", why));
    }

    private static Api.Response json(int status, Map<String, ?> answer) throws IOException {
        return Api.Response.bytes(status, "application/json", Json.write(answer));
    }

    // ---- What commands ask

    private JsonObject command(JsonObject request, Progress progress) throws IOException {
        if (!request.text("do").equals("leave")) {
            throw new IOException("a doorkeeper does not know '" + request.text("do") + "'");
        }
        Optional<String> farewell = request.optionalText("farewell");
        String lines;
        Resuming asked;
        synchronized (lock) {
            leaving = true;
            asked = resuming;
            lines = asKept;
        }
        if (farewell.isPresent()) {
            tell(ViewerServer.STATE_STOPPED, farewell.get());
        } else if (asked != null) {
            asked.end(null);
            awaitSent();
        }
        close();
        // Their time begins anew: pages may have been open for long.
        if (farewell.isPresent()) {
            links.forget();
        } else if (!lines.isEmpty()) {
            links.keep(lines);
        }
        synchronized (lock) {
            left = true;
            lock.notifyAll();
        }
        return new JsonObject(Map.of());
    }

    /** Until the page knows that it is resumed, or does not listen. */
    private void awaitSent() throws IOException {
        long until = System.nanoTime() + ANSWER_MILLIS_MAX * 1_000_000;
        try {
            synchronized (lock) {
                // One answer is to come.
                while (unsent > 0 || resuming != null) {
                    long millis = (until - System.nanoTime()) / 1_000_000;
                    if (millis <= 0) {
                        return;
                    }
                    lock.wait(millis);
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw (IOException) new InterruptedIOException("interrupted").initCause(e);
        }
    }

    /**
     * Has the doorkeeper of a session leave, if there is one: its port is free then, and its links are in the keyring.
     *
     * @param farewell told to its pages, which then know that the session is not to come back
     * @return what became of it
     */
    static Dismissal dismiss(Path socket, Optional<String> farewell) {
        if (!Files.exists(socket)) {
            return Dismissal.NOBODY;
        }
        AtomicReference<Dismissal> what = new AtomicReference<>(Dismissal.STAYS);
        Thread asking = Thread.ofPlatform().name("dismiss").daemon().start(() -> {
            try {
                JsonObject ignored = ControlClient.ask(
                        socket,
                        farewell.map(words -> Map.of("do", "leave", "farewell", words))
                                .orElse(Map.of("do", "leave")),
                        Progress.NONE);
                what.set(Dismissal.LEFT);
            } catch (SocketException | LinuxException e) {
                // One that was killed left its socket, which the next one replaces.
                what.set(Dismissal.NOBODY);
            } catch (IOException e) {
                System.err.println("satchel: the session's pages could not be taken over: " + e.getMessage());
            }
        });
        try {
            if (!asking.join(Duration.ofMillis(DISMISS_MILLIS_MAX))) {
                System.err.println("satchel: who answers the session's pages does not leave: its links are others now");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        return Objects.requireNonNull(what.get());
    }

    /** What became of who answered a session's pages. */
    enum Dismissal {
        NOBODY,
        LEFT,
        STAYS
    }
}
