package dev.satchel.vault;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A server of chunks, as docs/PROTOCOL.md says. Connections are kept and used again. Chunks that are said to be needed soon are fetched ahead, many
 * by one request, and wait here, sealed, for whoever reads them. Thread-safe.
 */
final class ServerSource implements ChunkSource {
    private static final long FETCH_NANOS_MAX = 5_000_000_000L;
    private static final int IDLE_CONNECTIONS_MAX = 4;
    private static final int BATCH_CHUNKS = 64;

    /** So that a batch comes in time over a slow line, too. */
    private static final int BATCH_BYTES_MAX = 2 << 20;

    private static final int NAME_BYTES = 16 + ChunkId.BYTES;
    private static final int FETCHERS_MAX = 2;
    private static final int WANTED_MAX = 4096;
    private static final int AHEAD_BYTES_MAX = 16 << 20;

    /** Nobody takes what was fetched ahead: then no more is. */
    private static final long UNUSED_MILLIS_MAX = 5_000;

    private static final long RECORD_BYTES_MAX = SealedChunk.HEADER_BYTES + SealedChunk.SEALED_BYTES_MAX;

    private final ServerLink link;

    /** Guarded by itself. */
    private final ArrayDeque<ServerConnection> idle = new ArrayDeque<>();

    /** Guards all that follows. */
    private final Object ahead = new Object();

    /** With the length of each, as plaintext. */
    private final LinkedHashMap<Name, Integer> wanted = new LinkedHashMap<>();

    private final Set<Name> flying = new HashSet<>();

    /** Header and sealed bytes, those that came first in front. */
    private final LinkedHashMap<Name, byte[]> arrived = new LinkedHashMap<>();

    private long arrivedBytes;

    /** Asked for ahead, and not there, with when that was known: whoever reads one soon needs no answer of its own. */
    private final LinkedHashMap<Name, Long> lacking = new LinkedHashMap<>();

    private int fetchers;
    private boolean closed;

    private record Name(KeyDomainId domain, ChunkId id) {}

    ServerSource(ServerLink link) {
        this.link = link;
    }

    @Override
    public String location() {
        return link.location();
    }

    @Override
    public Optional<SealedChunk> fetch(KeyDomainId domain, ChunkId id, MemorySegment buffer) throws IOException {
        long deadline = System.nanoTime() + FETCH_NANOS_MAX;
        byte[] record = takeAhead(new Name(domain, id), deadline);
        if (record != null && record.length == 0) {
            return Optional.empty();
        }
        if (record != null) {
            MemorySegment header = MemorySegment.ofArray(record);
            MemorySegment sealed = buffer.asSlice(0, record.length - SealedChunk.HEADER_BYTES);
            MemorySegment.copy(header, SealedChunk.HEADER_BYTES, sealed, 0, sealed.byteSize());
            return Optional.of(SealedChunk.read(header, 0, sealed));
        }
        ServerConnection connection = request("GET", "/api/chunks/" + domain + "/" + id, new byte[0], deadline);
        boolean reusable = false;
        try {
            int status = connection.readHead(RECORD_BYTES_MAX);
            if (status == 404) {
                reusable = connection.finish();
                return Optional.empty();
            }
            requireOk(status);
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment header = arena.allocate(SealedChunk.HEADER_BYTES, 8);
                SealedChunk chunk = readRecord(connection, header, buffer);
                reusable = connection.finish();
                return Optional.of(chunk);
            }
        } finally {
            end(connection, reusable);
        }
    }

    private static SealedChunk readRecord(ServerConnection connection, MemorySegment header, MemorySegment buffer)
            throws IOException {
        connection.read(header);
        MemorySegment sealed = buffer.asSlice(0, SealedChunk.sealedBytes(header, 0));
        connection.read(sealed);
        return SealedChunk.read(header, 0, sealed);
    }

    private static void requireOk(int status) throws IOException {
        if (status == 403 || status == 429) {
            throw new IOException("it refuses the link's secret: take the one that 'satchel vault serve' prints now");
        }
        if (status != 200) {
            throw new IOException("it answers with status " + status);
        }
    }

    /** Sends a request over a connection that waits for one, or a new one; the answer has begun on return. */
    private ServerConnection request(String method, String path, byte[] body, long deadline) throws IOException {
        while (true) {
            ServerConnection waiting;
            synchronized (idle) {
                waiting = idle.pollLast();
            }
            if (waiting == null) {
                break;
            }
            boolean begun = false;
            try {
                waiting.send(method, path, body, deadline);
                begun = waiting.awaitAnswer();
            } catch (java.net.SocketTimeoutException e) {
                throw e;
            } catch (IOException e) {
                // The server closes connections that waited for long: a new one tells.
                begun = false;
            } finally {
                if (!begun) {
                    end(waiting, false);
                }
            }
            if (begun) {
                return waiting;
            }
        }
        ServerConnection fresh = ServerConnection.open(link, deadline);
        boolean begun = false;
        try {
            fresh.send(method, path, body, deadline);
            if (!fresh.awaitAnswer()) {
                throw new IOException("it closed the connection without an answer");
            }
            begun = true;
            return fresh;
        } finally {
            if (!begun) {
                end(fresh, false);
            }
        }
    }

    private void end(ServerConnection connection, boolean reusable) throws IOException {
        if (reusable) {
            synchronized (idle) {
                if (!isClosed() && idle.size() < IDLE_CONNECTIONS_MAX) {
                    idle.addLast(connection);
                    return;
                }
            }
        }
        connection.close();
    }

    private boolean isClosed() {
        synchronized (ahead) {
            return closed;
        }
    }

    @Override
    public void fetchAll(List<ChunkRef> chunks, MemorySegment buffer, Receiver receiver) throws IOException {
        List<Name> names = new ArrayList<>();
        int bytes = 0;
        for (ChunkRef chunk : chunks) {
            bytes += chunk.length();
            if (names.size() == BATCH_CHUNKS || (bytes > BATCH_BYTES_MAX && !names.isEmpty())) {
                batch(names, buffer, receiver);
                names.clear();
                bytes = chunk.length();
            }
            names.add(new Name(chunk.domain(), chunk.id()));
        }
        if (!names.isEmpty()) {
            batch(names, buffer, receiver);
        }
    }

    /** One request for several. */
    private void batch(List<Name> names, MemorySegment buffer, Receiver receiver) throws IOException {
        long deadline = System.nanoTime() + FETCH_NANOS_MAX;
        byte[] body = new byte[names.size() * NAME_BYTES];
        MemorySegment target = MemorySegment.ofArray(body);
        Set<Name> asked = new HashSet<>();
        for (int i = 0; i < names.size(); i++) {
            Name name = names.get(i);
            asked.add(name);
            Bytes.putLong(body, i * NAME_BYTES, name.domain().high());
            Bytes.putLong(body, i * NAME_BYTES + 8, name.domain().low());
            name.id().write(target, (long) i * NAME_BYTES + 16);
        }
        ServerConnection connection = request("POST", "/api/chunks", body, deadline);
        boolean reusable = false;
        try (Arena arena = Arena.ofConfined()) {
            requireOk(connection.readHead(names.size() * RECORD_BYTES_MAX));
            MemorySegment header = arena.allocate(SealedChunk.HEADER_BYTES, 8);
            while (connection.left() > 0) {
                SealedChunk chunk = readRecord(connection, header, buffer);
                if (!asked.remove(new Name(chunk.domain(), chunk.id()))) {
                    throw new DamagedException("it answers with a chunk that nobody asked it for");
                }
                receiver.accept(chunk);
            }
            reusable = connection.finish();
        } finally {
            end(connection, reusable);
        }
    }

    // ---- ahead

    @Override
    public void willNeed(List<ChunkRef> chunks) {
        synchronized (ahead) {
            if (closed) {
                return;
            }
            for (ChunkRef chunk : chunks) {
                Name name = new Name(chunk.domain(), chunk.id());
                if (wanted.size() < WANTED_MAX && !flying.contains(name) && !arrived.containsKey(name)) {
                    lacking.remove(name);
                    wanted.put(name, chunk.length());
                }
            }
            while (fetchers < FETCHERS_MAX && wanted.size() > fetchers * BATCH_CHUNKS / 2) {
                fetchers++;
                Thread.ofPlatform().name("chunks-ahead").daemon().start(this::fetchAhead);
            }
        }
    }

    /** What came ahead, which is waited for if it is on its way; nothing if it is not there; null if it has to be asked for. */
    private byte @Nullable [] takeAhead(Name name, long deadline) throws IOException {
        synchronized (ahead) {
            while (true) {
                byte[] record = arrived.remove(name);
                if (record != null) {
                    arrivedBytes -= record.length;
                    ahead.notifyAll();
                    return record;
                }
                Long since = lacking.remove(name);
                if (since != null && System.nanoTime() - since < UNUSED_MILLIS_MAX * 1_000_000) {
                    return new byte[0];
                }
                if (!flying.contains(name)) {
                    wanted.remove(name);
                    return null;
                }
                long millis = (deadline - System.nanoTime()) / 1_000_000;
                if (millis <= 0) {
                    throw new IOException("no answer in time");
                }
                try {
                    ahead.wait(millis);
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    throw new IOException("interrupted while a chunk was fetched", e);
                }
            }
        }
    }

    private void fetchAhead() {
        List<Name> names = new ArrayList<>();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(SealedChunk.SEALED_BYTES_MAX, 8);
            while (true) {
                names = nextBatch();
                if (names.isEmpty()) {
                    return;
                }
                batch(names, buffer, this::arrive);
                landWithout(names);
            }
        } catch (IOException | RuntimeException e) {
            // Whoever reads these asks by itself, meets the same, and is told.
            synchronized (ahead) {
                wanted.clear();
            }
        } finally {
            land(names);
            synchronized (ahead) {
                fetchers--;
            }
        }
    }

    /** How much waits here. */
    long aheadBytes() {
        synchronized (ahead) {
            return arrivedBytes;
        }
    }

    private List<Name> nextBatch() {
        synchronized (ahead) {
            long until = System.nanoTime() + UNUSED_MILLIS_MAX * 1_000_000;
            while (!closed && !wanted.isEmpty() && arrivedBytes > AHEAD_BYTES_MAX / 2) {
                long millis = (until - System.nanoTime()) / 1_000_000;
                if (millis <= 0) {
                    wanted.clear();
                    break;
                }
                try {
                    ahead.wait(millis);
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    wanted.clear();
                }
            }
            List<Name> names = new ArrayList<>();
            if (!closed) {
                int bytes = 0;
                for (Map.Entry<Name, Integer> next : wanted.entrySet()) {
                    bytes += next.getValue();
                    if (names.size() == BATCH_CHUNKS || (bytes > BATCH_BYTES_MAX && !names.isEmpty())) {
                        break;
                    }
                    names.add(next.getKey());
                }
                names.forEach(wanted::remove);
                flying.addAll(names);
            }
            return names;
        }
    }

    private void arrive(SealedChunk chunk) {
        byte[] record = new byte[SealedChunk.HEADER_BYTES + (int) chunk.sealed().byteSize()];
        MemorySegment target = MemorySegment.ofArray(record);
        chunk.writeHeader(target, 0);
        MemorySegment.copy(
                chunk.sealed(),
                ValueLayout.JAVA_BYTE,
                0,
                record,
                SealedChunk.HEADER_BYTES,
                record.length - SealedChunk.HEADER_BYTES);
        synchronized (ahead) {
            Name name = new Name(chunk.domain(), chunk.id());
            flying.remove(name);
            if (closed) {
                return;
            }
            arrived.put(name, record);
            arrivedBytes += record.length;
            while (arrivedBytes > AHEAD_BYTES_MAX) {
                Name oldest = arrived.keySet().iterator().next();
                byte[] dropped = arrived.remove(oldest);
                arrivedBytes -= dropped == null ? 0 : dropped.length;
            }
            ahead.notifyAll();
        }
    }

    /** What is still on its way of these is not there. */
    private void landWithout(List<Name> names) {
        synchronized (ahead) {
            for (Name name : names) {
                if (flying.remove(name) && !closed) {
                    lacking.put(name, System.nanoTime());
                }
            }
            while (lacking.size() > WANTED_MAX) {
                lacking.remove(lacking.keySet().iterator().next());
            }
            ahead.notifyAll();
        }
    }

    /** What is still on its way of these will not come. */
    private void land(List<Name> names) {
        synchronized (ahead) {
            for (Name name : names) {
                flying.remove(name);
            }
            ahead.notifyAll();
        }
    }

    @Override
    public void close() throws IOException {
        synchronized (ahead) {
            closed = true;
            wanted.clear();
            lacking.clear();
            arrived.clear();
            arrivedBytes = 0;
            ahead.notifyAll();
        }
        while (true) {
            ServerConnection connection;
            synchronized (idle) {
                connection = idle.pollLast();
            }
            if (connection == null) {
                return;
            }
            connection.close();
        }
    }
}
