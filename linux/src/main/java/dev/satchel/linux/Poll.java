package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * poll(2) for input over a set of descriptors that changes, each with something that belongs to it. Owns none of them. For one
 * thread.
 *
 * @param <T> what belongs to a descriptor
 */
public final class Poll<T> {
    private static final MemorySegment POLL = Libc.function("poll");
    private static final short POLLIN = 1;

    /** {@code struct pollfd}: fd u32, events u16, revents u16. */
    private static final int ENTRY_BYTES = 8;

    private final List<T> members = new ArrayList<>();
    private MemorySegment entries = Arena.ofAuto().allocate(16L * ENTRY_BYTES, ENTRY_BYTES);

    public void add(Fd fd, T member) {
        long at = (long) members.size() * ENTRY_BYTES;
        if (at == entries.byteSize()) {
            MemorySegment larger = Arena.ofAuto().allocate(2 * at, ENTRY_BYTES);
            MemorySegment.copy(entries, 0, larger, 0, at);
            entries = larger;
        }
        entries.set(JAVA_INT, at, fd.number());
        entries.set(JAVA_SHORT, at + 4, POLLIN);
        entries.set(JAVA_SHORT, at + 6, (short) 0);
        members.add(member);
    }

    /** Takes one out, before its descriptor is closed; the last one takes its place. */
    public void remove(int index) {
        int last = members.size() - 1;
        entries.set(JAVA_LONG, (long) index * ENTRY_BYTES, entries.get(JAVA_LONG, (long) last * ENTRY_BYTES));
        members.set(index, members.getLast());
        members.removeLast();
    }

    public int size() {
        return members.size();
    }

    public T member(int index) {
        return members.get(index);
    }

    /** Waits until there is something to read from one of them at least, or one has come to its end. */
    public void await() throws LinuxException {
        int ready;
        do {
            ready = (int) Libc.callWith(entries, POLL, entries.address(), members.size(), -1, 0, 0, 0);
        } while (ready < 0 && Libc.errno() == Errno.EINTR);
        if (ready < 0) {
            throw new LinuxException("poll(" + members.size() + " descriptors)", Libc.errno());
        }
    }

    /** Whether the last {@link #await} found it ready: reading from it does not wait. */
    public boolean ready(int index) {
        return entries.get(JAVA_SHORT, (long) index * ENTRY_BYTES + 6) != 0;
    }
}
