package dev.satchel.session;

import dev.satchel.linux.Fd;
import dev.satchel.linux.MountEvents;
import dev.satchel.vault.DirectoryBackend;
import dev.satchel.vault.FileHeadWitness;
import dev.satchel.vault.ProgressListener;
import dev.satchel.vault.Replication;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VolumeReplication;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Brings the copy of a vault up to date that this host keeps, in the background of a session that runs, and after it until it is done. It
 * begins when the session does, after each snapshot, and, when that failed or the copy is not there, each minute and when file systems are mounted. Between snapshots what the
 * session's disk has been folded to is carried ahead, so that the next one finds it there; else it sleeps. While programs run it uses a quarter of the time and a bounded rate, and while the session is being frozen nothing.
 * Thread-safe.
 */
public final class AutoSync implements AutoCloseable {
    private static final long RATE_BYTES_MAX = 32 << 20;
    private static final int REST = 3;
    private static final long LOCKED_MILLIS = 500;
    private static final long RETRY_MILLIS = 60_000;

    /** What hangs in a share whose server is gone ends with the process. */
    private static final long CLOSE_MILLIS_MAX = 5_000;

    private static final double NANOS = 1e9;

    private final Replicas replicas;
    private final Vault keeper;
    private final Path source;
    private final Path destination;
    private final FileHeadWitness seen;
    private final long retryMillis;
    private final Thread worker;

    /** Something may be there that the copy lacks. Guarded by this, like all below. */
    private boolean due = true;

    /** The session's disk may have been folded since the last time that this was carried. */
    private boolean folded = true;

    /** Before that, nothing is carried ahead. */
    private long foldedNotBeforeNanos = System.nanoTime();

    private boolean held;
    private boolean ended;
    private boolean closed;
    private boolean working;
    private long carriedAhead;

    /** It can't be done now; it is tried again when something has changed, or at that time. */
    private boolean blocked;

    private long retryNanos;

    /** What was told last, so that each retry does not tell it again. */
    private String failure = "";

    /** Waits for file systems to be mounted; there while the copy is not. */
    private @Nullable MountEvents mounts;

    private AutoSync(Host host, Replicas replicas, Vault keeper, Path source, Path destination, long retryMillis) {
        this.replicas = replicas;
        this.keeper = keeper;
        this.source = source;
        this.destination = destination;
        this.retryMillis = retryMillis;
        seen = new FileHeadWitness(host.state().resolve("seen"));
        worker = Thread.ofPlatform().daemon().name("auto-sync").unstarted(this::work);
    }

    /** Begins, if this host keeps a copy of the vault. */
    static Optional<AutoSync> begin(Host host, Vault vault, Path source) throws IOException {
        return begin(host, vault, source, RETRY_MILLIS);
    }

    /** @param retryMillis {@link #RETRY_MILLIS} but in tests */
    static Optional<AutoSync> begin(Host host, Vault vault, Path source, long retryMillis) throws IOException {
        Replicas replicas = new Replicas(host, vault.id());
        Optional<Path> destination = replicas.kept();
        if (destination.isEmpty() || destination.get().equals(source)) {
            return Optional.empty();
        }
        FileHeadWitness seen = new FileHeadWitness(host.state().resolve("seen"));
        // Outlives the session's own, and has no index in memory, as nothing is read through it.
        Vault keeper = vault.openReplica(new DirectoryBackend(source), seen, false);
        AutoSync sync = new AutoSync(host, replicas, keeper, source, destination.get(), retryMillis);
        sync.worker.start();
        return Optional.of(sync);
    }

    /** Where the copy is. */
    public Path destination() {
        return destination;
    }

    /** There is something new. */
    synchronized void due() {
        due = true;
        blocked = false;
        notifyAll();
    }

    /** The session's disk has been folded: there is something that the next snapshot will need. */
    synchronized void folded() {
        folded = true;
        notifyAll();
    }

    /** Somebody is in a hurry: nothing is carried until {@link #goOn}. */
    synchronized void hold() {
        held = true;
    }

    synchronized void goOn() {
        held = false;
        notifyAll();
    }

    /** The session has ended: what is left is carried without rests, and then everything is let go. */
    synchronized void sessionEnded() {
        if (ended) {
            return;
        }
        ended = true;
        held = false;
        // Also when all snapshots are there: that nobody has the session any more is to be known in the copy.
        due = true;
        blocked = false;
        notifyAll();
    }

    /**
     * After the session has ended: returns when what is left has been carried, or can't be carried now. Interrupting the thread breaks
     * it off.
     *
     * @return whether the copy has everything
     */
    public boolean finish() throws IOException {
        sessionEnded();
        try {
            worker.join();
        } catch (InterruptedException e) {
            close();
            Thread.currentThread().interrupt();
            throw (IOException) new InterruptedIOException("interrupted: the next sync goes on").initCause(e);
        }
        synchronized (this) {
            return !due;
        }
    }

    /** Whether something is left to be carried, as far as is known. */
    public synchronized boolean isDue() {
        return due || working;
    }

    private void work() {
        try {
            for (Work work = awaitWork(); work != Work.NONE; work = awaitWork()) {
                boolean reachable = replicas.isReachable(destination);
                boolean done = false;
                try {
                    done = reachable && (work == Work.ALL ? syncOnce() : carryAhead());
                } catch (IOException | RuntimeException e) {
                    failed(e);
                }
                synchronized (this) {
                    working = false;
                    if (!done) {
                        due = true;
                        folded = true;
                        blocked = true;
                        retryNanos = System.nanoTime() + retryMillis * 1_000_000;
                        awaitMount(reachable);
                    }
                    notifyAll();
                }
            }
        } finally {
            letGo();
        }
    }

    /** What is to be done. */
    private enum Work {
        /** Nothing any more, ever. */
        NONE,
        /** The copy is brought up to date. */
        ALL,
        /** What the disk was folded to. */
        AHEAD
    }

    private synchronized Work awaitWork() {
        while (!closed) {
            long now = System.nanoTime();
            long retry = retryNanos - now;
            blocked &= retry > 0;
            boolean may = !held && !blocked;
            long early = foldedNotBeforeNanos - now;
            if (may && due) {
                due = false;
                working = true;
                return Work.ALL;
            }
            if (ended) {
                return Work.NONE;
            }
            if (may && folded && early <= 0) {
                folded = false;
                return Work.AHEAD;
            }
            try {
                wait(blocked ? retry / 1_000_000 + 1 : may && folded ? early / 1_000_000 + 1 : 0);
            } catch (InterruptedException e) {
                closed = true;
            }
        }
        return Work.NONE;
    }

    private void letGo() {
        MountEvents events;
        synchronized (this) {
            events = mounts;
        }
        try {
            if (events != null) {
                events.close();
            }
            keeper.close();
        } catch (IOException e) {
            replicasFailed(e);
        }
    }

    /** It need not wait longer than for a file system that comes or goes. */
    private synchronized void awaitMount(boolean wasReachable) {
        if (closed || ended || mounts != null) {
            return;
        }
        try {
            MountEvents events = MountEvents.open();
            mounts = events;
            Thread ignored = Thread.ofPlatform()
                    .daemon()
                    .name("auto-sync-mounts")
                    .start(() -> {
                        try {
                            events.await();
                        } catch (IOException e) {
                            replicasFailed(e);
                        }
                        synchronized (this) {
                            mounts = null;
                            blocked = false;
                            notifyAll();
                        }
                    });
            if (!wasReachable && replicas.isReachable(destination)) {
                blocked = false; // it came before we listened
            }
        } catch (IOException e) {
            replicasFailed(e);
        }
    }

    private void failed(Exception e) {
        synchronized (this) {
            if (closed) {
                return;
            }
        }
        replicasFailed(e);
    }

    private void replicasFailed(Exception e) {
        String why = String.valueOf(e.getMessage());
        synchronized (this) {
            if (!why.equals(failure)) {
                System.err.println("satchel: not synced to " + destination + ": " + why);
            }
            failure = why;
        }
        try {
            replicas.noteFailed(why);
        } catch (IOException again) {
            System.err.println("satchel: " + again.getMessage());
        }
    }

    private boolean syncOnce() throws IOException {
        try (Fd _ = lock();
                Vault from = keeper.openReplica(new DirectoryBackend(source), seen, false);
                Vault to = replicas.open(from, destination, false).vault()) {
            var report = replicas.run(
                    from,
                    to,
                    new Replication.Options(Replication.Direction.PUSH, Set.of(), false, false, this::rest),
                    ProgressListener.NONE);
            if (report.damaged().isEmpty()) {
                replicas.noteDone();
                synchronized (this) {
                    failure = "";
                }
            } else {
                replicas.noteFailed(report.damaged().getFirst());
            }
        }
        return true;
    }

    /** Carries what the next snapshot will need. Gives way to the snapshot itself. */
    private boolean carryAhead() throws IOException {
        long began = System.nanoTime();
        try (Fd _ = lock();
                Vault from = keeper.openReplica(new DirectoryBackend(source), seen, false);
                Vault to = replicas.open(from, destination, false).vault()) {
            VolumeReplication.Carried carried = new VolumeReplication(from, to, this::rest).run();
            synchronized (this) {
                carriedAhead += carried.bytes();
            }
        }
        synchronized (this) {
            long now = System.nanoTime();
            foldedNotBeforeNanos = now + (now - began) * REST;
        }
        return true;
    }

    /** Whether the copy is not there, and it is tried again when something is mounted. */
    synchronized boolean awaitsMount() {
        return blocked && mounts != null;
    }

    /** Bytes that were carried before a snapshot named them. */
    synchronized long carriedAhead() {
        return carriedAhead;
    }

    private Fd lock() throws IOException {
        while (true) {
            Optional<Fd> lock = replicas.tryLock();
            if (lock.isPresent()) {
                return lock.get();
            }
            pause(LOCKED_MILLIS);
        }
    }

    private void rest(long bytes, long nanos) throws IOException {
        synchronized (this) {
            while (held && !closed) {
                try {
                    wait();
                } catch (InterruptedException e) {
                    closed = true;
                }
            }
            if (ended && !closed) {
                return;
            }
        }
        pause(Math.max(nanos * REST, (long) (bytes * NANOS / RATE_BYTES_MAX)) / 1_000_000);
    }

    private synchronized void pause(long millis) throws IOException {
        long deadline = System.nanoTime() + millis * 1_000_000;
        try {
            for (long left = millis; left > 0 && !closed && !ended; left = (deadline - System.nanoTime()) / 1_000_000) {
                wait(left);
            }
        } catch (InterruptedException e) {
            closed = true;
        }
        if (closed) {
            throw new InterruptedIOException("broken off: the next sync goes on");
        }
    }

    /** Breaks off what is being carried; the next sync goes on. Does not wait long for a copy that hangs. */
    @Override
    public void close() {
        synchronized (this) {
            closed = true;
            notifyAll();
        }
        boolean interrupted = false;
        long deadline = System.nanoTime() + CLOSE_MILLIS_MAX * 1_000_000;
        for (long left = CLOSE_MILLIS_MAX;
                worker.isAlive() && left > 0;
                left = (deadline - System.nanoTime()) / 1_000_000) {
            try {
                worker.join(left);
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
