package dev.satchel.session;

import dev.satchel.vault.Head;
import dev.satchel.vault.Lease;
import dev.satchel.vault.Vault;
import java.io.IOException;
import java.util.Arrays;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Replaces a session's head for its supervisor. A replacement that fails may have taken place all the same, as what makes it durable
 * comes after it: then that head is the session's, and the next must follow it. Not thread-safe.
 */
final class HeadPuts {
    private final Vault vault;
    private final Lease lease;

    /** What was put when that failed, and perhaps is there. */
    private @Nullable Head doubted;

    HeadPuts(Vault vault, Lease lease) {
        this.vault = vault;
        this.lease = lease;
    }

    /** When this returns, the head is {@code next}, durably; see {@link Vault#putHead}. Call {@link #settle} before {@code next} is made. */
    void put(Head next) throws IOException {
        doubted = next;
        try {
            vault.putHead(next, lease);
            doubted = null;
        } catch (IOException e) {
            try {
                if (settle().isPresent()) {
                    return;
                }
            } catch (IOException unknown) {
                e.addSuppressed(unknown);
            }
            throw e;
        }
    }

    /** The head that a {@link #put} that failed has left, durable now, if it did. */
    Optional<Head> settle() throws IOException {
        Head put = doubted;
        if (put == null) {
            return Optional.empty();
        }
        Optional<Head> there = vault.head(put.id());
        doubted = null;
        return there.filter(head -> head.generation() == put.generation()
                && head.name().equals(put.name())
                && head.snapshot().equals(put.snapshot())
                && Arrays.equals(head.settings(), put.settings()));
    }
}
