package dev.satchel.display.web;

import dev.satchel.linux.crypto.Sha256;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Base64;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/** The viewer's own files by what a browser asks for. Thread-safe. */
final class StaticFiles {
    /** A longer one is not served. */
    private static final int BYTES_MAX = 4 << 20;

    private final ViewerFiles files;
    /** By path; only of files that exist, which are few. */
    private final ConcurrentHashMap<String, String> tags = new ConcurrentHashMap<>();

    StaticFiles(ViewerFiles files) {
        this.files = files;
    }

    /** @param tag of its content, with its quotes (RFC 9110 §8.8.3) */
    @SuppressWarnings("ArrayRecordComponent") // nobody compares files by equals
    record File(byte[] content, String type, String tag) {}

    /** @return null if there is none; {@code path} may be anything */
    @Nullable
    File find(String path) throws IOException {
        String name = path.equals("/") ? "index.html" : path.substring(1);
        if (!path.equals("/") && !path.startsWith("/viewer/")) {
            return null;
        }
        String type = type(name);
        if (type == null || !isPlain(name)) {
            return null;
        }
        byte[] content;
        try (InputStream in = files.open(name)) {
            if (in == null) {
                return null;
            }
            content = in.readNBytes(BYTES_MAX + 1);
        }
        if (content.length > BYTES_MAX) {
            throw new IOException(name + " is longer than " + BYTES_MAX + " bytes");
        }
        return new File(content, type, tags.computeIfAbsent(name, any -> tag(content)));
    }

    /** Whether each part of it is a name, nothing above where it begins or hidden. */
    private static boolean isPlain(String name) {
        boolean first = true;
        for (int i = 0; i < name.length(); i++) {
            char c = name.charAt(i);
            boolean letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
            if (!letter && (first || (c != '.' && c != '-' && c != '/'))) {
                return false;
            }
            first = c == '/';
        }
        return !first;
    }

    private static @Nullable String type(String name) {
        return switch (name.substring(name.lastIndexOf('.') + 1)) {
            case "html" -> "text/html; charset=utf-8";
            case "js", "mjs" -> "text/javascript; charset=utf-8";
            case "css" -> "text/css; charset=utf-8";
            case "svg" -> "image/svg+xml";
            case "png" -> "image/png";
            case "ico" -> "image/x-icon";
            case "json" -> "application/json";
            case "webmanifest" -> "application/manifest+json";
            case "wasm" -> "application/wasm";
            case "woff2" -> "font/woff2";
            case "txt" -> "text/plain; charset=utf-8";
            default -> null;
        };
    }

    private static String tag(byte[] content) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(Math.max(1, content.length));
            MemorySegment.copy(content, 0, bytes, ValueLayout.JAVA_BYTE, 0, content.length);
            MemorySegment hash = arena.allocate(Sha256.BYTES);
            Sha256.hash(bytes.asSlice(0, content.length), hash);
            byte[] start = hash.asSlice(0, 12).toArray(ValueLayout.JAVA_BYTE);
            return '"' + Base64.getUrlEncoder().encodeToString(start) + '"';
        }
    }
}
