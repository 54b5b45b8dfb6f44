package dev.satchel.session;

import dev.satchel.linux.Keyring;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/** What lets a session's viewers in, a line each for browsers, VNC clients and browsers elsewhere, kept in the kernel's keyring while nobody serves them on this host. */
record Links(String key) {
    private static final int BYTES_MAX = 16 << 10;
    private static final int SECONDS = 12 * 3600;

    /** @param run the name of the session's run on this host, {@link RunDirectory#podId} */
    static Links of(String run) {
        return new Links("satchel-links:" + run);
    }

    /** For some hours; what was kept before is not any more. */
    void keep(String lines) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            byte[] text = lines.getBytes(StandardCharsets.UTF_8);
            MemorySegment secret = arena.allocate(text.length);
            secret.copyFrom(MemorySegment.ofArray(text));
            Keyring.Key ignored = Keyring.put(key, secret, SECONDS);
        }
    }

    /** What was kept, if it still is; it stays. */
    Optional<String> look() throws IOException {
        Optional<Keyring.Key> kept = Keyring.find(key);
        if (kept.isEmpty()) {
            return Optional.empty();
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment text = arena.allocate(BYTES_MAX);
            long length = Keyring.read(kept.get(), text);
            return length < 0 || length > text.byteSize()
                    ? Optional.empty()
                    : Optional.of(
                            new String(text.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.UTF_8));
        }
    }

    /** They are worth nothing from now on, or are with who calls this. */
    void forget() throws IOException {
        Optional<Keyring.Key> kept = Keyring.find(key);
        if (kept.isPresent()) {
            Keyring.forget(kept.get());
        }
    }
}
