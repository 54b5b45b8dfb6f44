package dev.satchel.pod;

import static dev.satchel.pod.AddressSpace.PAGE_BYTES;

import dev.satchel.linux.Errno;
import dev.satchel.linux.Userfaultfd;
import dev.satchel.linux.Userfaultfd.Event;
import java.io.Closeable;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * The memory of a process that runs before it has all of it: which pages of its checkpoint are still missing, and where they belong
 * by now. Its lock is held from reading an event until what is known here has followed it, and while pages are brought: so that a
 * page is never counted as brought to a child that was forked before, or brought to where memory no longer is. Thread-safe.
 */
final class ServedMemory implements Closeable {
    /** What became of bringing pages. */
    enum Outcome {
        /** They are there, or nobody wants them any more. */
        DONE,
        /** Something has happened that must be read first. */
        EVENT,
    }

    /** Memory that mremap(2) has moved. Addresses are those of the checkpoint. */
    private record Moved(long start, long end, long by) {
        boolean has(long address) {
            return address >= start && address < end;
        }
    }

    private final AddressSpace space;
    private final Userfaultfd faults;

    // Guarded by this.
    private final BitSet missing;
    private final List<Moved> moved;

    private ServedMemory(AddressSpace space, Userfaultfd faults, BitSet missing, List<Moved> moved) {
        this.space = space;
        this.faults = faults;
        this.missing = missing;
        this.moved = moved;
    }

    /** Of a process that is being restored, without any of its lazy pages. Takes over the userfaultfd. */
    static ServedMemory of(AddressSpace space, Userfaultfd faults) {
        return new ServedMemory(space, faults, space.lazyPages(), new ArrayList<>());
    }

    AddressSpace space() {
        return space;
    }

    Userfaultfd faults() {
        return faults;
    }

    /** Whether nothing is missing. */
    synchronized boolean isWhole() {
        return missing.isEmpty();
    }

    /** The first window at or behind this one that lacks a page; -1 if there is none. */
    synchronized int nextMissing(int window) {
        int page = missing.nextSetBit(
                space.pages().firstPage(Math.min(window, space.pages().count())));
        return page < 0 ? -1 : space.pages().windowOf(page);
    }

    /** Which windows lack a page, of so many at and behind this one. */
    synchronized BitSet missing(int window, int count) {
        BitSet found = new BitSet();
        int end = Math.min(window + count, space.pages().count());
        for (int next = nextMissing(window); next >= 0 && next < end; next = nextMissing(next + 1)) {
            found.set(next);
        }
        return found;
    }

    /** What the event that was read asks of the caller. */
    sealed interface Request {
        /** To bring the page at that address of the process's. */
        record Page(long address) implements Request {}

        /** To serve a child. */
        record Child(ServedMemory memory) implements Request {}

        /** Nothing; there may be more. */
        record Nothing() implements Request {}
    }

    /** Reads an event, and follows it. @return null if there is none */
    synchronized @Nullable Request next() throws IOException {
        Event event = faults.read().orElse(null);
        return switch (event) {
            case null -> null;
            case Event.PageFault fault -> new Request.Page(fault.address() / PAGE_BYTES * PAGE_BYTES);
            case Event.Fork fork ->
                new Request.Child(
                        new ServedMemory(space, fork.child(), (BitSet) missing.clone(), new ArrayList<>(moved)));
            case Event.Remap remap -> {
                remapped(remap.from(), remap.from() + remap.length(), remap.to() - remap.from());
                yield new Request.Nothing();
            }
            case Event.Gone gone -> {
                forget(gone.start(), gone.end());
                // What is mapped there, or will be, has nothing to wait for.
                faults.unregister(gone.start(), gone.end() - gone.start());
                yield new Request.Nothing();
            }
        };
    }

    /** Pages of the checkpoint that are to be brought to these addresses no more. */
    private void forget(long start, long end) {
        forgetUnmoved(start, end);
        for (Moved one : moved) {
            long from = Math.max(start, one.start + one.by) - one.by;
            long to = Math.min(end, one.end + one.by) - one.by;
            if (from < to) {
                missing.clear(space.firstPageFrom(from), space.firstPageFrom(to));
            }
        }
    }

    private void forgetUnmoved(long start, long end) {
        int last = space.firstPageFrom(end);
        for (int page = missing.nextSetBit(space.firstPageFrom(start));
                page >= 0 && page < last;
                page = missing.nextSetBit(page + 1)) {
            if (mover(space.address(page)) == null) {
                missing.clear(page);
            }
        }
    }

    private void remapped(long start, long end, long by) {
        List<Moved> next = new ArrayList<>();
        for (Moved one : moved) {
            long from = Math.clamp(start - one.by, one.start, one.end);
            long to = Math.clamp(end - one.by, one.start, one.end);
            add(next, one.start, from, one.by);
            add(next, from, to, one.by + by);
            add(next, to, one.end, one.by);
        }
        // What had not moved before: the range without the pieces that have.
        long at = start;
        while (at < end) {
            Moved in = mover(at);
            if (in != null) {
                at = in.end;
                continue;
            }
            long to = end;
            for (Moved one : moved) {
                if (one.start > at) {
                    to = Math.min(to, one.start);
                }
            }
            add(next, at, to, by);
            at = to;
        }
        moved.clear();
        moved.addAll(next);
    }

    private static void add(List<Moved> list, long start, long end, long by) {
        if (start < end) {
            list.add(new Moved(start, end, by));
        }
    }

    /** What moved the memory that the checkpoint has at this address. */
    private @Nullable Moved mover(long address) {
        for (Moved one : moved) {
            if (one.has(address)) {
                return one;
            }
        }
        return null;
    }

    /** Where the memory is now that the checkpoint has at this address. */
    private long present(long address) {
        Moved by = mover(address);
        return by == null ? address : address + by.by;
    }

    /** The checkpoint's address of the memory that is here now; empty if it has none. */
    private OptionalLong original(long address) {
        for (Moved one : moved) {
            if (one.has(address - one.by)) {
                return OptionalLong.of(address - one.by);
            }
        }
        return mover(address) == null ? OptionalLong.of(address) : OptionalLong.empty();
    }

    /** The window that has the page for this address of the process's; -1 if the page is to be zeros. */
    synchronized int window(long address) {
        OptionalLong original = original(address);
        int page = original.isEmpty() ? -1 : space.page(original.getAsLong());
        return page >= 0 && missing.get(page) ? space.pages().windowOf(page) : -1;
    }

    /**
     * Brings zeros to an address at which the checkpoint has no page, and to the rest of its window as far as that has none either:
     * who grows into memory goes on there.
     */
    synchronized Outcome zero(long address) throws IOException {
        long end = address + PAGE_BYTES;
        if (moved.isEmpty()) {
            end = Math.min(
                    (address / PageWindows.BYTES + 1) * PageWindows.BYTES,
                    Math.max(end, space.next(address + PAGE_BYTES)));
        }
        long done = faults.zero(address, end - address);
        if (done == -Errno.ENOENT && end - address > PAGE_BYTES) {
            done = faults.zero(address, PAGE_BYTES); // the mapping ends within the window
        }
        if (done == -Errno.EAGAIN) {
            return Outcome.EVENT;
        }
        if (done < 0) {
            ended(done);
            // There is a page by now, or nothing is mapped: whoever waits is to look again.
            faults.wake(address, PAGE_BYTES);
        }
        return Outcome.DONE;
    }

    private void ended(long result) {
        if (result == -Errno.ESRCH) {
            missing.clear();
        }
    }

    /**
     * Brings what is missing of a window.
     *
     * @param decoded the window, as the pages file has it
     * @param restored whether all mappings are what they are to be: a page for which there is none is not wanted then
     */
    synchronized Outcome bring(int window, MemorySegment decoded, boolean restored) throws IOException {
        int first = space.pages().firstPage(window);
        int end = space.pages().firstPage(window + 1);
        int page = missing.nextSetBit(first);
        boolean singly = false;
        while (page >= 0 && page < end) {
            long address = present(space.address(page));
            int count = 1;
            while (!singly
                    && page + count < end
                    && missing.get(page + count)
                    && present(space.address(page + count)) == address + (long) count * PAGE_BYTES) {
                count++;
            }
            long done = faults.copy(
                    address, decoded.asSlice((long) (page - first) * PAGE_BYTES, (long) count * PAGE_BYTES));
            int next = page + 1;
            if (done > 0) {
                next = page + (int) (done / PAGE_BYTES);
                missing.clear(page, next);
            } else if (done == -Errno.EAGAIN) {
                return Outcome.EVENT;
            } else if (done == -Errno.ENOENT && count > 1) {
                singly = true; // pages of several mappings
                next = page;
            } else if (done == -Errno.EEXIST || (done == -Errno.ENOENT && restored)) {
                missing.clear(page);
            } else if (done == -Errno.ESRCH) {
                missing.clear();
            }
            page = missing.nextSetBit(next);
        }
        return Outcome.DONE;
    }

    /** Lets go of everybody who waits: only when it is whole, or its process has ended. */
    @Override
    public void close() throws IOException {
        faults.close();
    }
}
