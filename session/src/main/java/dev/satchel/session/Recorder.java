package dev.satchel.session;

import dev.satchel.display.record.Recording;
import dev.satchel.linux.Fd;
import java.io.Closeable;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URI;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * The videos of a session that are asked for over HTTP, one at a time. Made by a process of its own, {@link #run}, as encoding takes
 * more memory than a supervisor has. The last one is kept in memory (tmpfs(5)), until the next one or the session's end here.
 * Thread-safe.
 */
public final class Recorder implements Closeable {
    /** And if nothing else is asked for. */
    private static final int SECONDS_MAX = 3600;

    private static final int FRAMES_DEFAULT = 25;
    private static final int FRAMES_MAX = 60;
    private static final long BYTES_MAX = 256L << 20;
    private static final int MESSAGE_BYTES_MAX = 1 << 16;
    private static final long END_SECONDS_MAX = 10;
    private static final Path MEMORY = Path.of("/dev/shm");

    /**
     * What a video is to be.
     *
     * @param seconds 1 to 3600, at most
     * @param framesPerSecond 1 to 60
     */
    record Wanted(long seconds, long framesPerSecond) {
        /** @param body perhaps with {@code seconds} and {@code fps} */
        static Wanted from(JsonObject body) throws IOException {
            return new Wanted(
                    inRange("seconds", body.number("seconds", SECONDS_MAX), SECONDS_MAX),
                    inRange("fps", body.number("fps", FRAMES_DEFAULT), FRAMES_MAX));
        }
    }

    // Guarded by this.
    private List<String> program = List.of();
    private @Nullable Process process;
    private @Nullable Fd video;

    /** @param line the command line of a program that calls {@link #run} with its input and output */
    synchronized void use(List<String> line) {
        program = List.copyOf(line);
    }

    /**
     * Begins one.
     *
     * @param link that lets a viewer in
     */
    synchronized void begin(String link, Wanted wanted) throws IOException {
        if (program.isEmpty()) {
            throw new SatchelException(
                    SatchelException.Kind.FAILED,
                    "this supervisor can't make videos: use 'satchel record' on its host");
        }
        if (process != null) {
            throw new SatchelException(
                    SatchelException.Kind.IN_USE, "a video is being made already: end it by POST record/end first");
        }
        forget();
        Process started = null;
        try {
            Fd fresh = Fd.open(MEMORY, Fd.O_TMPFILE | Fd.O_RDWR, 0600);
            video = fresh;
            started = new ProcessBuilder(program)
                    .directory(new File("/"))
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            Path file = Path.of("/proc/" + ProcessHandle.current().pid() + "/fd/" + fresh.number());
            // Not on the command line, which every user of the host can read: the link has a secret in it.
            byte[] line = Json.write(Map.of(
                    "link",
                    link,
                    "file",
                    file.toString(),
                    "millis",
                    wanted.seconds() * 1000,
                    "frames_per_second",
                    wanted.framesPerSecond()));
            OutputStream out = started.getOutputStream();
            out.write(line);
            out.write('\n');
            out.flush();
            process = started;
        } finally {
            if (process == null) {
                if (started != null) {
                    started.destroyForcibly();
                }
                forget();
            }
        }
    }

    private static long inRange(String what, long number, long max) throws SatchelException {
        if (number < 1 || number > max) {
            throw new SatchelException(
                    SatchelException.Kind.WRONG_USAGE, "'" + what + "' is " + number + ": it can be 1 to " + max);
        }
        return number;
    }

    /** Ends it, if it has not ended by itself. @return what has become of it, as {@code record --json} tells */
    synchronized JsonObject end() throws IOException {
        Process ending = process;
        if (ending == null) {
            throw new SatchelException(
                    SatchelException.Kind.NOT_FOUND, "no video is being made: begin one by POST record");
        }
        process = null;
        ending.getOutputStream().close();
        try {
            if (!ending.waitFor(END_SECONDS_MAX, TimeUnit.SECONDS)) {
                ending.destroyForcibly();
                throw new IOException("the recorder did not end, and was killed: what it has made so far is there");
            }
            byte[] answer = ending.getInputStream().readNBytes(MESSAGE_BYTES_MAX);
            if (answer.length == 0) {
                forget();
                throw new IOException("the recorder was ended, or died, before it was done: begin another video");
            }
            JsonObject said = Json.read(answer);
            if (said.optionalText("error").isPresent()) {
                throw new IOException("no video could be made: " + said.text("error"));
            }
            return said;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        }
    }

    /** The last one, once it has ended. */
    synchronized Path video() throws SatchelException {
        Fd made = video;
        if (made == null) {
            throw new SatchelException(SatchelException.Kind.NOT_FOUND, "there is no video: begin one by POST record");
        }
        if (process != null) {
            throw new SatchelException(
                    SatchelException.Kind.IN_USE, "the video is being made: end it by POST record/end first");
        }
        return made.path();
    }

    private void forget() throws IOException {
        Fd old = video;
        video = null;
        if (old != null) {
            old.close();
        }
    }

    @Override
    public synchronized void close() throws IOException {
        Process left = process;
        process = null;
        if (left != null) {
            left.destroyForcibly();
        }
        forget();
    }

    /**
     * What the process of its own does: makes the video that it reads of from its input, until the time is over, the video is too
     * large, the session ends, or its input does.
     *
     * @param out is told what has become of it
     */
    public static void run(InputStream in, OutputStream out) throws IOException {
        JsonObject request = Json.read(firstLine(in));
        Thread recording = Thread.currentThread();
        Thread.ofPlatform().name("input").daemon().start(() -> {
            try {
                long ignored = in.transferTo(OutputStream.nullOutputStream());
            } catch (IOException e) {
                System.err.println("satchel: " + e);
            }
            recording.interrupt();
        });
        Map<String, ?> answer;
        try {
            answer = Results.toJson(Recording.record(
                            URI.create(request.text("link")),
                            Path.of(request.text("file")),
                            request.number("millis"),
                            (int) request.number("frames_per_second"),
                            (_, bytes) -> {
                                if (bytes > BYTES_MAX) {
                                    recording.interrupt();
                                }
                            }))
                    .fields();
        } catch (IOException | UnsupportedOperationException e) {
            answer = Map.of("error", String.valueOf(e.getMessage()));
        }
        out.write(Json.write(answer));
        out.flush();
    }

    private static byte[] firstLine(InputStream in) throws IOException {
        byte[] line = new byte[MESSAGE_BYTES_MAX];
        int length = 0;
        for (int next = in.read(); next >= 0 && next != '\n' && length < line.length; next = in.read()) {
            line[length++] = (byte) next;
        }
        return Arrays.copyOf(line, length);
    }
}
