package dev.satchel.vault;

import dev.satchel.linux.crypto.AesGcm;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** One run of {@link Vault#verify}. */
final class Verification {
    private final Vault vault;
    private final Backend backend;
    private final ProgressListener listener;
    private final List<String> errors = new ArrayList<>();
    private long errorCount;
    private long chunksChecked;
    private long objectsChecked;
    private long bytesDone;
    private long bytesTotal;

    Verification(Vault vault, ProgressListener listener) {
        this.vault = vault;
        this.backend = vault.backend();
        this.listener = listener;
    }

    /** Something to check that may throw. */
    private interface Check {
        void run() throws IOException;
    }

    VerifyReport run() throws IOException {
        Set<KeyDomainId> domains = new LinkedHashSet<>();
        domains.add(vault.chunks().ownDomain().id());
        List<String> packs = new ArrayList<>();
        for (String name : backend.list("domains")) {
            String[] parts = name.split("/", -1);
            if (parts.length == 4 && parts[2].equals("packs")) {
                packs.add(name);
                bytesTotal += backend.size(name).orElse(0L);
            } else if (parts.length == 3 && parts[2].equals("key")) {
                check(() -> {
                    KeyDomainId domain = domainId(parts[1], name);
                    vault.keysOf(domain);
                    domains.add(domain);
                });
            }
        }
        for (String name : backend.list("keys")) {
            check(() -> vault.checkSlot(name));
        }
        for (String name : backend.list("sessions")) {
            check(() -> vault.checkSession(name));
        }
        for (String name : backend.list("names")) {
            check(() -> vault.checkName(name));
        }
        for (KeyDomainId domain : domains) {
            check(() -> {
                DomainPacks domainPacks = vault.chunks().domain(domain);
                vault.chunks().refresh(domainPacks);
                ChunkCodec codec = vault.chunks().takeCodec();
                try {
                    domainPacks.checkAll(codec).forEach(this::error);
                } finally {
                    vault.chunks().giveBack(codec);
                }
            });
            String prefix = Pack.directory(domain) + "/packs/";
            for (String name : packs) {
                if (name.startsWith(prefix)) {
                    // One that can't be read at all has been told of by checkAll.
                    checkPack(domain, name);
                }
            }
        }
        for (String name : backend.list("snapshots")) {
            check(() -> {
                Snapshot snapshot = vault.snapshot(Vault.snapshotOf(name));
                for (ChunkMapRef tree : snapshot.trees().values()) {
                    checkTree(tree, "the snapshot " + snapshot.id());
                }
            });
        }
        for (String name : backend.list("images")) {
            check(() -> {
                Optional<ImageManifest> image = vault.readImage(name);
                if (image.isPresent()) {
                    checkTree(image.get().volume(), "the image " + image.get().name());
                }
            });
        }
        if (errorCount > errors.size()) {
            errors.set(errors.size() - 1, "and " + (errorCount - errors.size() + 1) + " more");
        }
        return new VerifyReport(chunksChecked, objectsChecked, errors);
    }

    private static KeyDomainId domainId(String part, String name) throws DamagedException {
        try {
            return KeyDomainId.parse(part);
        } catch (IllegalArgumentException e) {
            throw new DamagedException("the file " + name + " is no key domain's: remove it", e);
        }
    }

    private void check(Check check) throws IOException {
        objectsChecked++;
        try {
            check.run();
        } catch (VaultFullException e) {
            throw e;
        } catch (VaultException e) {
            error(String.valueOf(e.getMessage()));
        }
    }

    private void error(String line) {
        errorCount++;
        if (errors.size() < VerifyReport.ERRORS_MAX) {
            errors.add(line);
        }
    }

    /** Every chunk of a pack, and that there is nothing between them. */
    private void checkPack(KeyDomainId domain, String name) throws IOException {
        DomainPacks packs = vault.chunks().domain(domain);
        ChunkCodec codec = vault.chunks().takeCodec();
        try (Arena arena = Arena.ofConfined()) {
            DomainPacks.Directory directory = packs.readDirectory(name, codec);
            ByteBuffer entries = directory.entries().asByteBuffer();
            MemorySegment plaintext = arena.allocate(ChunkRef.LENGTH_MAX);
            long expected = Pack.HEADER_BYTES;
            while (entries.hasRemaining()) {
                ChunkId id = new ChunkId(entries.getLong(), entries.getLong(), entries.getLong(), entries.getLong());
                int offset = entries.getInt();
                int stored = entries.getInt();
                int codecAndLength = entries.getInt();
                ChunkIndex.Place place = new ChunkIndex.Place(
                        directory.pack(), offset, stored, codecAndLength >>> 24, codecAndLength & 0xffffff);
                boolean whole = offset == expected
                        && stored > AesGcm.TAG_BYTES
                        && stored <= ChunkCodec.STORED_BYTES_MAX
                        && place.length() >= 1
                        && place.length() <= ChunkRef.LENGTH_MAX
                        && backend.getRange(name, offset, codec.buffer(stored)) == stored
                        && codec.decode(packs.keys(), place, id, plaintext)
                        && codec.idOf(packs.keys(), plaintext.asSlice(0, place.length()))
                                .equals(id);
                chunksChecked++;
                if (!whole) {
                    error("chunk " + id + " in the pack " + name
                            + " is damaged: put the pack back from a copy of the vault");
                }
                expected = offset + (long) stored;
                bytesDone += stored;
                listener.progress(bytesDone, bytesTotal);
            }
        } catch (DamagedException | NoSuchException e) {
            // checkAll has put it into words already.
            bytesDone += backend.size(name).orElse(0L);
            listener.progress(bytesDone, bytesTotal);
        } finally {
            vault.chunks().giveBack(codec);
        }
    }

    /** That everything a map names is there; what is in the chunks has been checked with their packs. */
    private void checkTree(ChunkMapRef tree, String of) throws IOException {
        ChunkMap map = ChunkMap.load(vault.chunks(), tree);
        ChunkMap.Visitor present = (slot, ref) -> {
            if (!vault.chunks().contains(ref)) {
                error("chunk " + ref.id() + " of " + of + " is missing: put its pack back from a copy of the vault");
            }
        };
        map.forEachNode(present);
        map.forEach(0, ChunkMap.SLOTS_MAX, present);
    }
}
