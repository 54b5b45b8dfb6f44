package dev.satchel.session;

import dev.satchel.linux.Fd;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.StandardProtocolFamily;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.Map;

/** A command's end of a supervisor's socket; see {@link ControlServer}. */
final class ControlClient {
    private ControlClient() {}

    /** Asks, and waits for the answer. */
    static JsonObject ask(Path socket, Map<String, ?> request, Progress progress) throws IOException {
        try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            try (Fd directory = ControlServer.directoryOf(socket)) {
                channel.connect(ControlServer.address(directory, socket));
            }
            byte[] json = Json.write(request);
            ByteBuffer line = ByteBuffer.allocate(json.length + 1)
                    .put(json)
                    .put((byte) '\n')
                    .flip();
            while (line.hasRemaining()) {
                channel.write(line);
            }
            InputStream in = new BufferedInputStream(Channels.newInputStream(channel));
            while (true) {
                JsonObject answer = Json.read(ControlServer.line(in));
                if (answer.has("progress")) {
                    progress.at(answer.text("progress"), answer.number("done"), answer.number("total"));
                } else if (answer.has("error")) {
                    throw new SatchelException(kind(answer), answer.text("error"));
                } else if (answer.fields().get("result") instanceof Map<?, ?> result) {
                    @SuppressWarnings("unchecked") // Json makes maps with text keys only
                    Map<String, Object> fields = (Map<String, Object>) result;
                    return new JsonObject(fields);
                } else {
                    throw new IOException("the supervisor's answer is not understood");
                }
            }
        }
    }

    /** A supervisor of another version may know other kinds. */
    private static SatchelException.Kind kind(JsonObject answer) throws IOException {
        String named = answer.has("kind") ? answer.text("kind") : "";
        for (SatchelException.Kind kind : SatchelException.Kind.values()) {
            if (kind.name().equals(named)) {
                return kind;
            }
        }
        return SatchelException.Kind.FAILED;
    }
}
