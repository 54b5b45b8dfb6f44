package dev.satchel.display.web;

import dev.satchel.display.Command;
import java.io.IOException;
import java.lang.ref.WeakReference;
import java.util.ArrayDeque;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Commands as they go over the wire. Several viewers get the same {@link Command} objects, at different times; what was encoded for one
 * is kept for the others as long as one of them has the command in its queue, in a bounded room. Thread-safe.
 */
final class EncodedCommands implements AutoCloseable {
    static final long BYTES_MAX = 2 << 20;
    private static final int ENTRIES = 256;

    private final Supplier<CommandEncoder> encoders;
    /** How many work at once; each has working memory of its own. */
    private final int encodersMax = Math.min(2, Runtime.getRuntime().availableProcessors());

    private final ArrayDeque<CommandEncoder> free = new ArrayDeque<>();
    private int open;
    private boolean closed;
    /** A ring: what comes last overwrites what came first. */
    private final @Nullable Entry[] ring = new Entry[ENTRIES];

    private long next;
    private long first;
    private long bytes;

    private static final class Entry {
        // Weak: an entry is of use only to whoever still has that very command.
        final WeakReference<Command> command;
        /** Null as long as somebody encodes it. */
        byte @Nullable [] encoded;

        Entry(Command command) {
            this.command = new WeakReference<>(command);
        }
    }

    EncodedCommands(Supplier<CommandEncoder> encoders) {
        this.encoders = encoders;
    }

    /**
     * @param shared whether another viewer may want the same
     * @return not to be written to
     * @throws IOException if this is closed
     */
    byte[] encode(Command command, boolean shared) throws IOException, InterruptedException {
        Entry mine = null;
        if (shared) {
            synchronized (this) {
                Entry known = find(command);
                while (known != null) {
                    if (known.encoded != null) {
                        return known.encoded;
                    }
                    wait();
                    known = find(command);
                }
                mine = new Entry(command);
                add(mine);
            }
        }
        byte[] encoded = null;
        try {
            CommandEncoder encoder = take();
            try {
                encoded = encoder.encode(command);
            } finally {
                giveBack(encoder);
            }
            return encoded;
        } finally {
            if (mine != null) {
                publish(mine, encoded);
            }
        }
    }

    private @Nullable Entry find(Command command) {
        for (long i = next - 1; i >= first; i--) {
            Entry entry = ring[(int) (i % ENTRIES)];
            if (entry != null && entry.command.refersTo(command)) {
                return entry;
            }
        }
        return null;
    }

    private void add(Entry entry) {
        if (next - first == ENTRIES) {
            dropFirst();
        }
        ring[(int) (next++ % ENTRIES)] = entry;
    }

    private void dropFirst() {
        Entry dropped = ring[(int) (first % ENTRIES)];
        ring[(int) (first++ % ENTRIES)] = null;
        if (dropped != null && dropped.encoded != null) {
            bytes -= dropped.encoded.length;
        }
        // Who waits for what has been dropped encodes it for itself.
        notifyAll();
    }

    private synchronized void publish(Entry entry, byte @Nullable [] encoded) {
        boolean there = false;
        for (long i = first; i < next; i++) {
            if (ring[(int) (i % ENTRIES)] == entry) {
                there = true;
                if (encoded == null || encoded.length > BYTES_MAX / 2) {
                    ring[(int) (i % ENTRIES)] = null;
                } else {
                    entry.encoded = encoded;
                    bytes += encoded.length;
                }
            }
        }
        notifyAll();
        while (there && bytes > BYTES_MAX) {
            dropFirst();
        }
    }

    private CommandEncoder take() throws IOException, InterruptedException {
        synchronized (this) {
            while (!closed && free.isEmpty() && open == encodersMax) {
                wait();
            }
            if (closed) {
                throw new IOException("no commands are encoded any more");
            }
            CommandEncoder encoder = free.pollLast();
            if (encoder != null) {
                return encoder;
            }
            open++;
        }
        boolean made = false;
        try {
            CommandEncoder encoder = encoders.get();
            made = true;
            return encoder;
        } finally {
            if (!made) {
                synchronized (this) {
                    open--;
                    notifyAll();
                }
            }
        }
    }

    private void giveBack(CommandEncoder encoder) {
        synchronized (this) {
            if (!closed) {
                free.addLast(encoder);
                notifyAll();
                return;
            }
        }
        encoder.close();
    }

    /** How much is kept. */
    synchronized long bytes() {
        return bytes;
    }

    /** Lets go of the encoders' memory until they are wanted again: nobody looks. */
    void rest() {
        ArrayDeque<CommandEncoder> unused;
        synchronized (this) {
            unused = new ArrayDeque<>(free);
            open -= free.size();
            free.clear();
            while (first < next) {
                dropFirst();
            }
        }
        for (CommandEncoder encoder : unused) {
            encoder.close();
        }
    }

    @Override
    public void close() {
        synchronized (this) {
            closed = true;
            notifyAll();
        }
        rest();
    }
}
