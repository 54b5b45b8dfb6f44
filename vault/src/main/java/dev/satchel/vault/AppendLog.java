package dev.satchel.vault;

import java.io.Closeable;
import java.io.IOException;
import java.lang.foreign.MemorySegment;

/**
 * A file that grows at its end, for what must be durable before it is worth a pack. The log gives no secrecy and no
 * authenticity: what is appended must be sealed by the caller. All methods may be called by many threads; appends are
 * put one behind the other in some order. One process at a time has a log open to append to: opening it again throws.
 */
public interface AppendLog extends Closeable {
    /**
     * Appends all of {@code bytes} (native memory). Not durable before {@link #sync}.
     *
     * @return the offset of its first byte
     * @throws VaultFullException when the device is full; the log is as long as before
     */
    long append(MemorySegment bytes) throws IOException;

    /**
     * Reads from {@code offset} into all of {@code target} (native memory).
     *
     * @return bytes read: fewer than asked for only at the end of the log, 0 behind it
     */
    int read(long offset, MemorySegment target) throws IOException;

    /** Everything appended before this call is on stable storage when it returns (fdatasync(2)). */
    void sync() throws IOException;

    /** Length in bytes. */
    long size() throws IOException;

    /**
     * Sets space aside behind the end, so that {@code bytes} more can be appended when the device has become full meanwhile. The
     * length stays; space that is not used goes back with {@link #truncate}, or with the log.
     *
     * @return false when the storage knows no such thing; then a full device fails the next append
     * @throws VaultFullException when there is not so much; some of it may be set aside all the same
     */
    boolean setAside(long bytes) throws IOException;

    /**
     * Cuts it to {@code size} bytes, durably: a torn tail after a crash, or everything once it is folded. What was set aside is
     * given back.
     */
    void truncate(long size) throws IOException;
}
