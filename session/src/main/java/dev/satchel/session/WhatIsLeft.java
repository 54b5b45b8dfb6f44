package dev.satchel.session;

import dev.satchel.linux.fuse.FuseFile;
import dev.satchel.vault.ChunkMap;
import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.TreeDamage;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VaultException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/** A disk with holes where it can't be read any more: these are zeros. Thread-safe. */
final class WhatIsLeft implements FuseFile {
    private static final int CHUNKS_MAX = 32;

    private final Vault vault;
    private final TreeDamage damage;
    private final ChunkMap map;
    private final long sizeBytes;

    /** The chunks that were read last, by slot. Guarded by this. */
    private final Map<Long, MemorySegment> chunks = new LinkedHashMap<>(64, 0.75f, true) {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Long, MemorySegment> eldest) {
            return size() > CHUNKS_MAX;
        }
    };

    WhatIsLeft(Vault vault, TreeDamage damage, long sizeBytes) {
        this.vault = vault;
        this.damage = damage;
        this.sizeBytes = sizeBytes;
        map = ChunkMap.load(vault.chunks(), damage.map());
    }

    @Override
    public long sizeBytes() {
        return sizeBytes;
    }

    @Override
    public boolean writable() {
        return false;
    }

    @Override
    public boolean cached() {
        return true;
    }

    @Override
    public void read(long offset, MemorySegment dst) throws IOException {
        for (long done = 0; done < dst.byteSize(); ) {
            long slot = (offset + done) / ChunkRef.LENGTH_MAX;
            long in = (offset + done) % ChunkRef.LENGTH_MAX;
            long count = Math.min(dst.byteSize() - done, ChunkRef.LENGTH_MAX - in);
            dst.asSlice(done, count).copyFrom(chunk(slot).asSlice(in, count));
            done += count;
        }
    }

    private synchronized MemorySegment chunk(long slot) throws IOException {
        MemorySegment kept = chunks.get(slot);
        if (kept != null) {
            return kept;
        }
        MemorySegment chunk = Arena.ofAuto().allocate(ChunkRef.LENGTH_MAX);
        if (!damage.hits(slot)) {
            try {
                Optional<ChunkRef> ref = map.get(slot);
                if (ref.isPresent()) {
                    vault.chunks().read(ref.get(), chunk);
                }
            } catch (VaultException lost) {
                chunk.fill((byte) 0);
            }
        }
        chunks.put(slot, chunk);
        return chunk;
    }

    @Override
    public void write(long offset, MemorySegment src) throws IOException {
        throw new IOException("this disk can only be looked at");
    }

    @Override
    public void flush() {}

    @Override
    public void discard(long offset, long length) throws IOException {
        throw new IOException("this disk can only be looked at");
    }
}
