package dev.satchel.vault;

import java.io.Closeable;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Where a vault's chunks are read from when there is more than the vault itself: the host's cache, lookasides, the vault, nearest first. Made
 * only if something of that is configured. Thread-safe.
 *
 * <p>A source is trusted with nothing: what it gives is authenticated, and whatever else it does costs a bounded time. All but the cache
 * and a vault that is near are asked by threads of their own, of which each source has a few: the reader waits for them as long as
 * it makes sense. When a source takes longer than it usually does, the next is asked beside it, and the first authentic answer counts. One that
 * fails several times in a row is left aside for a while, which doubles each time; one that turns out slower than the one behind it is
 * asked after that. Both are tried again.
 */
final class ChunkSources implements Closeable {
    /** Nobody waits longer for a source. */
    static final long FETCH_NANOS_MAX = 5_000_000_000L;

    /** Enough for all who read at once, beside as many that hang: who is only busy must not look as if it did not answer. */
    private static final int THREADS_MAX = 2 * ChunkStore.CODECS_MAX;

    private static final long THREAD_IDLE_SECONDS = 10;

    /** The next source is asked when one has taken so many times as long as usual, within these bounds. */
    private static final int HEDGE_FACTOR = 4;

    static final long HEDGE_NANOS_MIN = 20_000_000;
    private static final long HEDGE_NANOS_MAX = 500_000_000;

    /** A source goes behind another that is so many times as fast, if that makes a difference: this part of the shortest wait. */
    private static final int SLOWER_FACTOR = 2;

    private static final int SLOWER_SHARE = 10;

    private static final int SAMPLES_MIN = 4;
    private static final long PROBE_NANOS = 5_000_000_000L;

    private static final int FAILURES_IN_A_ROW_MAX = 3;
    private static final long ASIDE_NANOS = 1_000_000_000L;
    private static final int ASIDE_DOUBLINGS_MAX = 6;
    private static final long NOTE_NANOS = 60_000_000_000L;

    private static final int IDLE_BUFFERS_MAX = 16;

    private final ChunkStore store;
    private final @Nullable HostCache cache;
    private final Source cacheSource;
    private final Source home;

    /** Lookasides and the vault in the order that was wished for. */
    private final List<Source> sources;

    private final Consumer<String> notes;
    private final long fetchNanosMax;
    private final long hedgeNanosMin;

    /** Guarded by itself. */
    private final ArrayDeque<ChunkBuffer> idleBuffers = new ArrayDeque<>();

    /**
     * @param cache taken over, closed with this
     * @param lookasides nearest first; taken over, closed with this
     * @param homeIsNear whether the vault is as near as anything could be: it is asked first then, and its chunks are not cached
     * @param notes told a line for a person when a source fails or is back
     * @param fetchNanosMax {@link #FETCH_NANOS_MAX} but in tests
     * @param hedgeNanosMin {@link #HEDGE_NANOS_MIN} but in tests
     */
    ChunkSources(
            ChunkStore store,
            Optional<HostCache> cache,
            List<ChunkSource> lookasides,
            boolean homeIsNear,
            Consumer<String> notes,
            long fetchNanosMax,
            long hedgeNanosMin) {
        this.store = store;
        this.cache = cache.orElse(null);
        this.notes = notes;
        this.fetchNanosMax = fetchNanosMax;
        this.hedgeNanosMin = hedgeNanosMin;
        this.home = new Source(SourceReport.Kind.HOME, new Home(store), homeIsNear);
        this.cacheSource = new Source(
                SourceReport.Kind.CACHE,
                new Named(cache.map(HostCache::location).orElse("")),
                true);
        List<Source> all = new ArrayList<>();
        if (homeIsNear) {
            all.add(home);
        }
        for (ChunkSource lookaside : lookasides) {
            all.add(new Source(SourceReport.Kind.LOOKASIDE, lookaside, false));
        }
        if (!homeIsNear) {
            all.add(home);
        }
        this.sources = List.copyOf(all);
    }

    /** A place that is asked in another way. */
    private record Named(String location) implements ChunkSource {
        @Override
        public Optional<SealedChunk> fetch(KeyDomainId domain, ChunkId id, MemorySegment buffer) {
            return Optional.empty();
        }

        @Override
        public void close() {}
    }

    /** The vault: where a chunk is in it, the reader has looked up before. */
    private record Home(ChunkStore store) implements ChunkSource {
        @Override
        public String location() {
            return store.backend().location();
        }

        @Override
        public Optional<SealedChunk> fetch(KeyDomainId domain, ChunkId id, MemorySegment buffer) throws IOException {
            ChunkIndex.Place place = store.domain(domain).index().find(id);
            return place == null ? Optional.empty() : fetch(place, id, buffer);
        }

        Optional<SealedChunk> fetch(ChunkIndex.Place place, ChunkId id, MemorySegment buffer) throws IOException {
            String pack = place.pack().name();
            int wanted = place.storedBytes();
            if (wanted < 1 || wanted > SealedChunk.SEALED_BYTES_MAX) {
                throw new DamagedException("the pack " + pack + " has a directory with impossible numbers");
            }
            MemorySegment sealed = buffer.asSlice(0, wanted);
            if (store.backend().getRange(pack, place.offset(), sealed) != wanted) {
                throw new DamagedException("the pack " + pack + " has been cut short");
            }
            return Optional.of(PackSource.of(place, id, sealed));
        }

        @Override
        public void close() {}
    }

    /** One place, and how it has done. */
    private final class Source {
        final SourceReport.Kind kind;
        final ChunkSource place;

        /** Asked by the reader's own thread. */
        final boolean near;

        final AtomicLong chunks = new AtomicLong();
        final AtomicLong bytes = new AtomicLong();
        final AtomicLong misses = new AtomicLong();
        final AtomicLong failures = new AtomicLong();
        final AtomicLong nanos = new AtomicLong();

        private final ThreadPoolExecutor threads;

        /** What an answer takes lately; guarded by this, like all below. */
        private double usualNanos;

        private int samples;
        private int failuresInRow;
        private int timesAside;
        private long asideUntilNanos;
        private boolean aside;
        private boolean slow;
        private long probedNanos;
        private boolean noted;
        private long notedNanos;

        Source(SourceReport.Kind kind, ChunkSource place, boolean near) {
            this.kind = kind;
            this.place = place;
            this.near = near;
            this.threads = new ThreadPoolExecutor(
                    0, THREADS_MAX, THREAD_IDLE_SECONDS, TimeUnit.SECONDS, new SynchronousQueue<>(), task -> {
                        Thread thread = new Thread(task, "chunks-from-" + kind);
                        thread.setDaemon(true);
                        return thread;
                    });
        }

        synchronized boolean isAside(long now) {
            return aside && now - asideUntilNanos < 0;
        }

        /**
         * How long {@code next} waits for this one. As long as nobody knows how fast the next one is, not long: this one's usual time may
         * be a long one.
         */
        long hedgeNanos(@Nullable Source next) {
            if (next == null || next.usualNanos() < 0) {
                return hedgeNanosMin;
            }
            synchronized (this) {
                return Math.clamp(
                        (long) (HEDGE_FACTOR * usualNanos), hedgeNanosMin, Math.max(hedgeNanosMin, HEDGE_NANOS_MAX));
            }
        }

        synchronized double usualNanos() {
            return samples < SAMPLES_MIN ? -1 : usualNanos;
        }

        boolean isSlowerThan(Source next) {
            double nexts = next.usualNanos();
            synchronized (this) {
                return nexts >= 0
                        && samples >= SAMPLES_MIN
                        && usualNanos > SLOWER_FACTOR * nexts
                        && usualNanos - nexts > (double) hedgeNanosMin / SLOWER_SHARE;
            }
        }

        /**
         * Takes notice that this one would be asked after another.
         *
         * @return whether it is to be: now and then it is asked first all the same, and shows whether it is as slow as ever
         */
        synchronized boolean yields(boolean slower, long now) {
            if (!slower || !slow) {
                slow = slower;
                probedNanos = now;
                return slower;
            }
            if (now - probedNanos > PROBE_NANOS) {
                probedNanos = now;
                return false;
            }
            return true;
        }

        /** @param took for an answer, or how long there was none yet when another's came */
        private void sample(long took) {
            usualNanos = samples == 0 ? took : usualNanos + (took - usualNanos) / Math.min(samples + 1, 8);
            samples = Math.min(samples + 1, 1 << 20);
        }

        void gave(long sealedBytes, long took) {
            chunks.incrementAndGet();
            bytes.addAndGet(sealedBytes);
            nanos.addAndGet(took);
            boolean back;
            synchronized (this) {
                sample(took);
                failuresInRow = 0;
                timesAside = 0;
                aside = false;
                back = noted && System.nanoTime() - notedNanos > ASIDE_NANOS;
                noted &= !back;
            }
            if (back) {
                notes.accept(place.location() + " gives chunks again");
            }
        }

        void lacked(long took) {
            misses.incrementAndGet();
            nanos.addAndGet(took);
            synchronized (this) {
                sample(took);
                failuresInRow = 0;
                timesAside = 0;
                aside = false;
            }
        }

        /** Another's answer came first. */
        void lost(long waited) {
            nanos.addAndGet(waited);
            late(waited);
        }

        /** An answer came that nobody waited for any more. */
        synchronized void late(long took) {
            sample(took);
        }

        void failed(String why, long took) {
            failures.incrementAndGet();
            nanos.addAndGet(took);
            boolean tell;
            synchronized (this) {
                long now = System.nanoTime();
                failuresInRow++;
                if (failuresInRow >= FAILURES_IN_A_ROW_MAX) {
                    aside = true;
                    asideUntilNanos = now + (ASIDE_NANOS << Math.min(timesAside, ASIDE_DOUBLINGS_MAX));
                    timesAside++;
                }
                tell = !noted && (notedNanos == 0 || now - notedNanos > NOTE_NANOS);
                if (tell) {
                    noted = true;
                    notedNanos = now;
                }
            }
            if (tell) {
                notes.accept("chunks are read elsewhere than from " + place.location() + " if they can be: " + why);
            }
        }

        synchronized SourceReport report() {
            SourceReport.State state = isAside(System.nanoTime())
                    ? SourceReport.State.ASIDE
                    : slow ? SourceReport.State.SLOW : SourceReport.State.IN_USE;
            return new SourceReport(
                    kind,
                    place.location(),
                    state,
                    chunks.get(),
                    bytes.get(),
                    misses.get(),
                    failures.get(),
                    nanos.get() / 1_000_000);
        }
    }

    /** A question to a source, of one reader. What is not final is guarded by the reader's {@link Answers}. */
    private static final class Attempt {
        final Source source;
        final ChunkBuffer buffer;
        final long startedNanos = System.nanoTime();
        long tookNanos;

        @Nullable
        SealedChunk chunk;

        @Nullable
        Exception failure;

        boolean abandoned;

        Attempt(Source source, ChunkBuffer buffer) {
            this.source = source;
            this.buffer = buffer;
        }
    }

    /** Where the answers to one reader's questions arrive. */
    private final class Answers {
        private final ArrayDeque<Attempt> arrived = new ArrayDeque<>();
        private final List<Attempt> running = new ArrayList<>();

        /** Asks; at once if the source is near. */
        void ask(Source source, KeyDomainId domain, ChunkId id, ChunkIndex.@Nullable Place place) {
            Attempt attempt = new Attempt(source, takeBuffer());
            synchronized (this) {
                running.add(attempt);
            }
            if (source.near) {
                fetch(attempt, domain, id, place);
                return;
            }
            try {
                source.threads.execute(() -> fetch(attempt, domain, id, place));
            } catch (RejectedExecutionException e) {
                // All its threads wait for it: it is as if it did not answer.
                arrive(attempt, null, new IOException("it does not answer", e));
            }
        }

        private void fetch(Attempt attempt, KeyDomainId domain, ChunkId id, ChunkIndex.@Nullable Place place) {
            @Nullable SealedChunk chunk = null;
            @Nullable Exception failure = null;
            MemorySegment into = attempt.buffer.sealed();
            try {
                Optional<SealedChunk> found = switch (attempt.source.place) {
                    case Home vault when place != null -> vault.fetch(place, id, into);
                    case PackSource packs when place != null -> packs.fetchAt(place, id, into);
                    default -> attempt.source.place.fetch(domain, id, into);
                };
                chunk = found.orElse(null);
            } catch (IOException | RuntimeException e) {
                // Also what a hostile place made somebody trip over: it is that place that failed.
                failure = e;
            }
            arrive(attempt, chunk, failure);
        }

        private void arrive(Attempt attempt, @Nullable SealedChunk chunk, @Nullable Exception failure) {
            synchronized (this) {
                attempt.tookNanos = System.nanoTime() - attempt.startedNanos;
                attempt.chunk = chunk;
                attempt.failure = failure;
                running.remove(attempt);
                if (!attempt.abandoned) {
                    arrived.add(attempt);
                    notifyAll();
                    return;
                }
            }
            // The reader has gone; only the next one wants to know how long it took.
            if (failure == null) {
                attempt.source.late(attempt.tookNanos);
            }
            giveBack(attempt.buffer);
        }

        /** The next answer; null when there is none by then. */
        synchronized @Nullable Attempt await(long untilNanos) throws IOException {
            while (arrived.isEmpty()) {
                long nanos = untilNanos - System.nanoTime();
                if (nanos <= 0 || running.isEmpty()) {
                    return null;
                }
                try {
                    wait(nanos / 1_000_000, (int) (nanos % 1_000_000));
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    throw new IOException("interrupted while a chunk was fetched", e);
                }
            }
            return arrived.poll();
        }

        synchronized boolean isRunning() {
            return !running.isEmpty() || !arrived.isEmpty();
        }

        /**
         * The reader goes.
         *
         * @param won whether it goes because it has what it wanted
         */
        void leave(boolean won) {
            List<Attempt> late;
            List<Attempt> unread;
            synchronized (this) {
                late = List.copyOf(running);
                unread = List.copyOf(arrived);
                arrived.clear();
                for (Attempt attempt : late) {
                    attempt.abandoned = true;
                }
            }
            for (Attempt attempt : late) {
                long waited = System.nanoTime() - attempt.startedNanos;
                if (won && waited < fetchNanosMax) {
                    attempt.source.lost(waited);
                } else {
                    attempt.source.failed("no answer within " + fetchNanosMax / 1_000_000 + " ms", waited);
                }
            }
            for (Attempt attempt : unread) {
                giveBack(attempt.buffer);
            }
        }
    }

    /**
     * Reads a chunk from wherever it is.
     *
     * @param codec the calling thread's
     * @param trouble gets what is known of why the vault itself has not got it
     * @return whether a source had it
     */
    boolean read(ChunkRef ref, DomainPacks packs, ChunkCodec codec, MemorySegment target, Trouble trouble)
            throws IOException {
        if (cache != null && readCached(ref, packs.keys(), codec, target)) {
            return true;
        }
        ChunkIndex.@Nullable Place place = packs.index().find(ref.id());
        List<Source> order = order(place != null);
        Answers answers = new Answers();
        boolean won = false;
        int next = 0;
        long now = System.nanoTime();
        long hedgeAt = now;
        long deadline = now;
        try {
            while (true) {
                if (next < order.size() && (!answers.isRunning() || now - hedgeAt >= 0)) {
                    Source source = order.get(next++);
                    if (source == home && place == null) {
                        // Others may have stored it since; this reader looks itself, and nothing else is left to ask.
                        packs.refresh(codec);
                        place = packs.index().find(ref.id());
                    }
                    answers.ask(source, ref.domain(), ref.id(), place);
                    now = System.nanoTime();
                    hedgeAt = now + source.hedgeNanos(next < order.size() ? order.get(next) : null);
                    deadline = now + fetchNanosMax;
                }
                Attempt attempt = answers.await(next < order.size() ? hedgeAt : deadline);
                now = System.nanoTime();
                if (attempt == null) {
                    if (next == order.size() && (!answers.isRunning() || now - deadline >= 0)) {
                        return false;
                    }
                    continue;
                }
                try {
                    if (isIt(attempt, ref, packs, codec, target, trouble)) {
                        won = true;
                        keep(attempt);
                        return true;
                    }
                } finally {
                    giveBack(attempt.buffer);
                }
            }
        } finally {
            answers.leave(won);
        }
    }

    /** Why the vault itself did not have a chunk. */
    static final class Trouble {
        @Nullable
        Exception cause;

        boolean damaged;
    }

    /** Judges an answer. */
    private boolean isIt(
            Attempt attempt, ChunkRef ref, DomainPacks packs, ChunkCodec codec, MemorySegment target, Trouble trouble) {
        Source source = attempt.source;
        SealedChunk chunk = attempt.chunk;
        Exception failure = attempt.failure;
        if (failure != null) {
            if (source == home) {
                trouble.cause = failure;
            }
            String message = failure.getMessage();
            source.failed(message == null ? failure.toString() : message, attempt.tookNanos);
            return false;
        }
        if (chunk == null) {
            source.lacked(attempt.tookNanos);
            return false;
        }
        if (!store.isAuthentic(ref, chunk, packs.keys(), codec, target)) {
            if (source == home) {
                trouble.damaged = true;
            }
            source.failed("chunk " + ref.id() + " from there is damaged or forged", attempt.tookNanos);
            return false;
        }
        source.gave(chunk.sealed().byteSize(), attempt.tookNanos);
        return true;
    }

    private boolean readCached(ChunkRef ref, KeyDomain keys, ChunkCodec codec, MemorySegment target) {
        HostCache present = cache;
        if (present == null || cacheSource.isAside(System.nanoTime())) {
            return false;
        }
        ChunkBuffer buffer = takeBuffer();
        long start = System.nanoTime();
        try {
            Optional<HostCache.Found> found = present.find(ref.domain(), ref.id(), buffer);
            if (found.isEmpty()) {
                cacheSource.lacked(System.nanoTime() - start);
                return false;
            }
            SealedChunk chunk = found.get().chunk();
            if (!store.isAuthentic(ref, chunk, keys, codec, target)) {
                present.drop(found.get(), buffer);
                cacheSource.failed(
                        "a chunk in it was damaged, which a crash of this host does", System.nanoTime() - start);
                return false;
            }
            if (present.isOld(found.get())) {
                present.put(chunk, buffer);
            }
            cacheSource.gave(chunk.sealed().byteSize(), System.nanoTime() - start);
            return true;
        } catch (IOException e) {
            cacheSource.failed(String.valueOf(e.getMessage()), System.nanoTime() - start);
            return false;
        } finally {
            giveBack(buffer);
        }
    }

    /** Puts what came from afar into the cache, as sealed as it came. */
    private void keep(Attempt attempt) {
        HostCache present = cache;
        SealedChunk chunk = attempt.chunk;
        if (present == null || chunk == null || attempt.source.near || cacheSource.isAside(System.nanoTime())) {
            return;
        }
        try {
            present.put(chunk, attempt.buffer);
        } catch (IOException e) {
            cacheSource.failed(String.valueOf(e.getMessage()), 0);
        }
    }

    /** Whom to ask for a chunk, one after the other. */
    private List<Source> order(boolean homeHasIt) {
        long now = System.nanoTime();
        List<Source> order = new ArrayList<>(sources.size());
        List<Source> last = new ArrayList<>(2);
        for (Source source : sources) {
            if (source.isAside(now) || (source == home && !homeHasIt)) {
                last.add(source);
            } else {
                order.add(source);
            }
        }
        for (int i = order.size() - 2; i >= 0; i--) {
            Source source = order.get(i);
            if (!source.yields(source.isSlowerThan(order.get(i + 1)), now)) {
                continue;
            }
            for (int j = i; j + 1 < order.size() && source.isSlowerThan(order.get(j + 1)); j++) {
                order.set(j, order.get(j + 1));
                order.set(j + 1, source);
            }
        }
        order.addAll(last);
        return order;
    }

    /** Tells who will be asked first that these will be wanted soon. */
    void willNeed(List<ChunkRef> refs) {
        List<ChunkRef> atHome = new ArrayList<>(refs.size());
        List<ChunkRef> elsewhere = new ArrayList<>();
        for (ChunkRef ref : refs) {
            (store.isKnownHere(ref) ? atHome : elsewhere).add(ref);
        }
        if (!atHome.isEmpty()) {
            willNeed(atHome, true);
        }
        if (!elsewhere.isEmpty()) {
            willNeed(elsewhere, false);
        }
    }

    private void willNeed(List<ChunkRef> refs, boolean homeHasThem) {
        Source first = order(homeHasThem).getFirst();
        if (first == home) {
            store.prefetchHere(refs);
            return;
        }
        HostCache present = cache;
        if (present == null) {
            first.place.willNeed(refs);
            return;
        }
        List<ChunkRef> lacking = new ArrayList<>(refs.size());
        ChunkBuffer buffer = takeBuffer();
        try {
            for (ChunkRef ref : refs) {
                if (!present.mayHave(ref.domain(), ref.id(), buffer)) {
                    lacking.add(ref);
                }
            }
        } catch (IOException e) {
            return; // only a hint: whoever reads meets the same
        } finally {
            giveBack(buffer);
        }
        if (!lacking.isEmpty()) {
            first.place.willNeed(lacking);
        }
    }

    /** The cache, if there is one, and then the others in the order that was wished for. */
    List<SourceReport> reports() {
        List<SourceReport> reports = new ArrayList<>();
        if (cache != null) {
            reports.add(cacheSource.report());
        }
        for (Source source : sources) {
            reports.add(source.report());
        }
        return reports;
    }

    private ChunkBuffer takeBuffer() {
        synchronized (idleBuffers) {
            ChunkBuffer buffer = idleBuffers.pollLast();
            return buffer != null ? buffer : new ChunkBuffer();
        }
    }

    private void giveBack(ChunkBuffer buffer) {
        synchronized (idleBuffers) {
            if (idleBuffers.size() < IDLE_BUFFERS_MAX) {
                idleBuffers.addLast(buffer);
            }
        }
    }

    /** Not while somebody reads. Doesn't wait for sources that hang. */
    @Override
    public void close() {
        for (Source source : sources) {
            source.threads.shutdownNow();
            try {
                source.place.close();
            } catch (IOException e) {
                notes.accept(source.place.location() + " could not be closed: " + e.getMessage());
            }
        }
        HostCache present = cache;
        if (present != null) {
            try {
                present.close();
            } catch (IOException e) {
                notes.accept(present.location() + " could not be closed: " + e.getMessage());
            }
        }
    }
}
