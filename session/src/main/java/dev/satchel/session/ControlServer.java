package dev.satchel.session;

import static java.util.Objects.requireNonNull;

import dev.satchel.linux.Fd;
import dev.satchel.vault.AwayException;
import dev.satchel.vault.DamagedException;
import dev.satchel.vault.ForgedException;
import dev.satchel.vault.InUseException;
import dev.satchel.vault.NoSuchException;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/**
 * A supervisor's end of the socket that commands reach it by: one request a connection, one JSON object a line. The answer is any
 * number of {@code {"progress":what,"done":n,"total":n}}, then {@code {"result":{…}}} or {@code {"error":text,"kind":KIND}}.
 * Whoever can open the socket may ask: it lies in a directory that only root can enter.
 */
final class ControlServer implements AutoCloseable {
    /** What answers. */
    interface Handler {
        JsonObject handle(JsonObject request, Progress progress) throws IOException;
    }

    private static final int REQUEST_BYTES_MAX = 1 << 20;
    private static final int CONNECTIONS_MAX = 32;
    private static final int ANSWER_SECONDS_MAX = 5;

    private final ServerSocketChannel channel;
    private final Path socket;
    private final Handler handler;
    private final Semaphore places = new Semaphore(CONNECTIONS_MAX);

    private ControlServer(ServerSocketChannel channel, Path socket, Handler handler) {
        this.channel = channel;
        this.socket = socket;
        this.handler = handler;
    }

    static ControlServer listen(Path socket, Handler handler) throws IOException {
        Files.deleteIfExists(socket);
        ServerSocketChannel channel = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        try (Fd directory = directoryOf(socket)) {
            channel.bind(address(directory, socket));
        } catch (IOException | RuntimeException e) {
            channel.close();
            throw e;
        }
        ControlServer server = new ControlServer(channel, socket, handler);
        Thread.ofPlatform().name("control").daemon().start(server::accept);
        return server;
    }

    /** To be open while {@link #address} is used. */
    static Fd directoryOf(Path socket) throws IOException {
        return Fd.open(
                requireNonNull(socket.getParent(), "a socket in a directory"),
                Fd.O_PATH | Fd.O_DIRECTORY | Fd.O_CLOEXEC);
    }

    /** By way of its directory: a socket's name has 107 bytes at most (unix(7)), and a state directory may lie deep. */
    static UnixDomainSocketAddress address(Fd directory, Path socket) {
        return UnixDomainSocketAddress.of("/proc/self/fd/" + directory.number() + "/" + socket.getFileName());
    }

    private void accept() {
        try {
            while (true) {
                SocketChannel connection = channel.accept();
                if (!places.tryAcquire()) {
                    connection.close();
                    continue;
                }
                // Not a daemon: the answer to `suspend` is still on its way when all else has ended.
                Thread.ofPlatform().name("control-request").daemon(false).start(() -> {
                    try (connection) {
                        serve(connection);
                    } catch (IOException e) {
                        // The asker went away; what it asked for is done all the same.
                        System.err.println("satchel: a command left before its answer: " + e.getMessage());
                    } finally {
                        places.release();
                    }
                });
            }
        } catch (ClosedChannelException e) {
            // close() ends this thread so.
        } catch (IOException e) {
            System.err.println("satchel: the supervisor can't be reached any more: " + e.getMessage());
        }
    }

    private void serve(SocketChannel connection) throws IOException {
        InputStream in = new BufferedInputStream(Channels.newInputStream(connection));
        OutputStream out = Channels.newOutputStream(connection);
        Map<String, Object> answer = new LinkedHashMap<>();
        try {
            JsonObject result = handler.handle(Json.read(line(in)), (what, done, total) -> {
                try {
                    send(out, Map.of("progress", what, "done", done, "total", total));
                } catch (IOException e) {
                    // As above: nobody listens, the work goes on.
                    return;
                }
            });
            answer.put("result", result.fields());
        } catch (IOException | RuntimeException | Error e) {
            String message = e.getMessage();
            answer.put("error", message == null ? e.toString() : message);
            answer.put("kind", kind(e).name());
        }
        send(out, answer);
    }

    private static SatchelException.Kind kind(Throwable e) {
        return switch (e) {
            case SatchelException failure -> failure.kind();
            case NoSuchException none -> SatchelException.Kind.NOT_FOUND;
            case AwayException away -> SatchelException.Kind.NOT_FOUND;
            case DamagedException damaged -> SatchelException.Kind.NOT_AUTHENTIC;
            case ForgedException forged -> SatchelException.Kind.NOT_AUTHENTIC;
            case InUseException used -> SatchelException.Kind.IN_USE;
            default -> SatchelException.Kind.FAILED;
        };
    }

    private static void send(OutputStream out, Map<String, ?> object) throws IOException {
        byte[] json = Json.write(object);
        byte[] line = java.util.Arrays.copyOf(json, json.length + 1);
        line[json.length] = '\n';
        synchronized (out) {
            out.write(line);
        }
    }

    /** One line, without its end. */
    static byte[] line(InputStream in) throws IOException {
        java.io.ByteArrayOutputStream bytes = new java.io.ByteArrayOutputStream();
        for (int next = in.read(); next != '\n'; next = in.read()) {
            if (next < 0) {
                throw new IOException("the connection ended in the middle of a message");
            }
            if (bytes.size() == REQUEST_BYTES_MAX) {
                throw new IOException("a message is too long");
            }
            bytes.write(next);
        }
        return bytes.toByteArray();
    }

    /** Until all that was asked has been answered, or for some seconds: who does not read its answer does not want it. */
    void awaitAnswers() {
        try {
            boolean ignored = places.tryAcquire(CONNECTIONS_MAX, ANSWER_SECONDS_MAX, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void close() throws IOException {
        channel.close();
        Files.deleteIfExists(socket);
    }
}
