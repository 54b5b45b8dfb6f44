package dev.satchel.vault;

import java.io.Closeable;
import java.io.IOException;

/**
 * Keeps chunks that no snapshot or image names yet from being collected. Held from before they are named until after; closing
 * takes it back. What a dead process held is taken back once its session's lease has been let go.
 */
public final class Pin implements Closeable {
    private final Backend backend;
    private final String file;

    Pin(Backend backend, String file) {
        this.backend = backend;
        this.file = file;
    }

    /** Takes it back. Idempotent. */
    @Override
    public void close() throws IOException {
        backend.delete(file);
    }
}
