package dev.satchel.volume;

import dev.satchel.linux.fuse.FuseMount;
import dev.satchel.vault.VaultException;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Notes that a vault could not answer the kernel, before the kernel is told no more than EIO: what programs met then goes back to the
 * first of them. Thread-safe.
 */
public final class Refusals implements FuseMount.FailureListener {
    private final AtomicReference<@Nullable VaultException> first = new AtomicReference<>();

    @Override
    public void failed(String what, Throwable cause) {
        if (cause instanceof VaultException e) {
            first.compareAndSet(null, e);
        }
        FuseMount.Options.DEFAULT.failures().failed(what, cause);
    }

    /** Throws the first, if there was one, as the cause of what somebody met. */
    public void rethrowFor(Exception met) throws VaultException {
        VaultException cause = first.get();
        if (cause != null && cause != met) {
            cause.addSuppressed(met);
            throw cause;
        }
    }
}
