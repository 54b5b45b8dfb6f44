package dev.satchel.vault;

import java.io.Closeable;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Where a vault's objects are: a directory, an object store. All methods may be called by many threads, and many
 * processes and hosts may use the same place at once. A backend is trusted with nothing: it may lose, alter, swap and
 * roll back what it holds, and the vault finds out.
 *
 * <p><b>Names</b> are one to four parts divided by {@code /}; a part has 1 to 80 of {@code a-z 0-9 - .} and does not
 * begin with a dot. Anything else is an {@link IllegalArgumentException}.
 *
 * <p><b>Durable</b> means: on stable storage, also its name, when the method returns. <b>Atomic</b> means: whatever
 * dies at whatever moment, and whoever reads at that moment, there is the old object whole or the new one whole.
 *
 * <p>A full device is a {@link VaultFullException}, and leaves everything as it was before the call. An object that is
 * not there is a {@link NoSuchException}. A place that has gone itself is an {@link AwayException}, never an absence of objects.
 */
public interface Backend extends Closeable {
    /** The place, for messages to people. */
    String location();

    /**
     * Stores an object under a name that its content determines or that was chosen at random; atomic, durable.
     *
     * @param parts native memory, put one behind the other
     * @return false when there was one of that name already, which then stays as it is
     */
    boolean putIfAbsent(String name, MemorySegment... parts) throws IOException;

    /** Starts an object that is written in pieces. */
    PackFile begin() throws IOException;

    /**
     * Commits several as {@link PackFile#commit} does each, at less cost. When it fails, some may be objects and others not.
     *
     * @param files from {@link #begin} of this backend, by the names they get
     */
    void commit(Map<String, PackFile> files) throws IOException;

    /**
     * Reads part of an object into all of {@code target} (native memory).
     *
     * @param offset in bytes from its beginning
     * @return bytes read: fewer than asked for only when the object ends there
     */
    int getRange(String name, long offset, MemorySegment target) throws IOException;

    /**
     * Says that a range will be read soon; a hint, returns at once, never fails.
     *
     * @param lengthBytes 0 for all the rest
     */
    void willNeed(String name, long offset, long lengthBytes);

    /** Has an object found anew by the next {@link #getRange}: its file may have been replaced past this backend. */
    default void forget(String name) throws IOException {}

    /**
     * Reads a small object whole.
     *
     * @return empty when there is none
     * @throws DamagedException when it is longer than {@code sizeMax}
     */
    Optional<byte[]> get(String name, int sizeMax) throws IOException;

    /**
     * Makes durable what is there under that name, or that nothing is: another process may have put or removed it, and have been
     * killed before that was. Does nothing where nothing can be seen before it is durable.
     */
    default void settle(String name) throws IOException {}

    /** The same for all names that there are, and are not, directly in a directory. */
    default void settleAll(String directory) throws IOException {}

    /** Size of an object in bytes; empty when there is none. */
    Optional<Long> size(String name) throws IOException;

    /** Names of all objects that begin with {@code prefix} and a {@code /}, at any depth, sorted. Empty: all. */
    List<String> list(String prefix) throws IOException;

    /** Removes an object, durably; does nothing when there is none. */
    void delete(String name) throws IOException;

    /**
     * Replaces a small object if it still is what the caller believes: atomic (also against every other caller,
     * process and host), durable.
     *
     * @param expected what must be there now, byte for byte; empty: nothing may be there
     * @return false when something else is there; nothing has changed then
     */
    boolean replace(String name, Optional<byte[]> expected, byte[] next) throws IOException;

    /**
     * Opens a log, which {@link #list}, {@link #size} and {@link #delete} treat as any object.
     *
     * @param create makes an empty one if there is none
     * @throws NoSuchException when there is none and {@code create} is false
     * @throws LogInUseException when another process has it open
     */
    AppendLog openLog(String name, boolean create) throws IOException;

    /**
     * Opens a log for reading only, and keeps nobody from opening it meanwhile: what it had when it was opened can be read until it
     * is closed.
     *
     * @throws NoSuchException when there is none
     * @throws LogInUseException when another process has it open with {@link #openLog}
     */
    AppendLog readLog(String name) throws IOException;

    /**
     * Removes what writers left that died before their objects were complete. Writers at work lose nothing.
     *
     * @return bytes freed
     */
    long removeAbandoned() throws IOException;
}
