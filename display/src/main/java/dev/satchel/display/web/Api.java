package dev.satchel.display.web;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Optional;

/**
 * What is under {@code /api/}. A server asks it only for who has shown the session's secret, and for anything but GET only for who may
 * control the session. Called by many threads at once, each of a connection's own, which may wait.
 */
public interface Api {
    /** How long a body is unless {@link #bodyBytesMax} says otherwise. */
    long BODY_BYTES_MAX = 1 << 20;

    /**
     * @param method GET (also for HEAD), POST, PUT or DELETE
     * @param path decoded, what comes after {@code /api/}
     * @param query decoded; of a name that comes twice the last value
     * @param control whether it may change something
     * @param length of the body in bytes
     * @param body ends after {@code length} bytes, or with an IOException if they don't come
     */
    record Request(
            String method,
            String path,
            Map<String, String> query,
            boolean control,
            Map<String, String> headers,
            long length,
            InputStream body) {
        /** The whole body as UTF-8, for one that fits into memory. */
        public String text() throws IOException {
            return new String(body.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    /**
     * @param length of the body, -1 if that is not known yet
     * @param body closed by the server once it is sent, or can't be
     * @param fileName as what a browser is to save it
     * @param contentRange with 206 and 416, which part of how much it is (RFC 9110 §14.4)
     */
    record Response(
            int status,
            String contentType,
            long length,
            InputStream body,
            Optional<String> fileName,
            Optional<String> contentRange) {
        /** All of something. */
        public Response(int status, String contentType, long length, InputStream body, Optional<String> fileName) {
            this(status, contentType, length, body, fileName, Optional.empty());
        }

        public static Response json(int status, String text) {
            return bytes(status, "application/json", text.getBytes(StandardCharsets.UTF_8));
        }

        public static Response bytes(int status, String contentType, byte[] bytes) {
            return new Response(status, contentType, bytes.length, new ByteArrayInputStream(bytes), Optional.empty());
        }
    }

    /**
     * @throws IOException what went wrong, in words for the caller: answered with 500 and {@code {"error":"…"}}
     */
    Response handle(Request request) throws IOException;

    /** How long the body of such a request may be; a longer one is answered with 413. */
    default long bodyBytesMax(String method, String path) {
        return BODY_BYTES_MAX;
    }

    /** An API without anything in it. */
    Api NONE = request -> Response.json(404, "{\"error\":\"there is no such thing\"}");
}
