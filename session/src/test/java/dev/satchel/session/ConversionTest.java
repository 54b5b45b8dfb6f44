package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;

import dev.satchel.pod.Checkpoint;
import dev.satchel.pod.CheckpointFormats;
import dev.satchel.vault.ChunkMap;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.ChunkStore;
import dev.satchel.vault.ChunkWriter;
import dev.satchel.vault.Head;
import dev.satchel.vault.HostId;
import dev.satchel.vault.Lease;
import dev.satchel.vault.Snapshot;
import dev.satchel.vault.SnapshotDraft;
import dev.satchel.vault.SnapshotId;
import dev.satchel.vault.Vault;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.SequenceInputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** A session that an earlier version suspended goes on with this one. */
class ConversionTest extends LiveTest {
    private static final String IMAGES = "checkpoint/images";
    private static final String PAGES = "checkpoint/pages";

    @Test
    void programsGoOnFromACheckpointOfTheFirstFormat() throws IOException {
        String name = name("converted");
        a.create(name);
        Running.Count before;
        try (Running here = a.resume(name).startCounting()) {
            // Memory that says whether it is what it was: random, and of more than one size.
            here.put("holding.py", """
                    import hashlib, os, signal
                    held = [os.urandom(n) for n in (100, 70_000, 9_000_000)]
                    def tell(*_):
                        with open("/home/user/held.new", "w") as f:
                            f.write(" ".join(hashlib.sha256(h).hexdigest() for h in held))
                        os.rename("/home/user/held.new", "/home/user/held")
                    signal.signal(signal.SIGUSR1, tell)
                    tell()
                    open("/home/user/holder", "w").write(str(os.getpid()))
                    while True:
                        signal.pause()
                    """);
            here.start("exec python3 holding.py");
            here.awaitFile("home/user/holder");
            before = here.count();
            SuspendResult suspended = here.suspend();
            assertThat(suspended.processes()).isGreaterThan(2);
        }
        SnapshotId first = site.inVault(vault -> toTheFirstFormat(vault, name));
        String held;
        try (Running here = b.resume(name)) {
            SnapshotId converted = here.result().snapshot().orElseThrow();
            assertThat(converted).isNotEqualTo(first);
            assertThat(format(converted)).isEqualTo(CheckpointFormats.CURRENT);
            assertThat(format(first)).isEqualTo(1);
            here.assertGoesOnFrom(before);
            held = here.read("home/user/held");
            here.sh("rm /home/user/held; kill -USR1 $(cat /home/user/holder)");
            here.awaitFile("home/user/held");
            assertThat(here.read("home/user/held")).isEqualTo(held);
            before = here.assertGoesOnFrom(before);
            // What is stored now is laid over the converted windows.
            SuspendResult suspended = here.suspend();
            assertThat(suspended.bytesNew()).isLessThan(9_000_000);
        }
        try (Running here = a.resume(name)) {
            here.assertGoesOnFrom(before);
            here.sh("rm /home/user/held; kill -USR1 $(cat /home/user/holder)");
            here.awaitFile("home/user/held");
            assertThat(here.read("home/user/held")).isEqualTo(held);
        }
        assertThat(site.verify().errors()).isEmpty();
    }

    private int format(SnapshotId id) throws IOException {
        return site.inVault(vault -> CheckpointFormats.of(
                vault.chunks(), Snapshots.checkpoint(vault.snapshot(id)).orElseThrow()));
    }

    /** Stores the session's newest checkpoint once more, as the first version of the format had it, and has the head name that. */
    private static SnapshotId toTheFirstFormat(Vault vault, String name) throws IOException {
        Head head = vault.head(name).orElseThrow();
        Snapshot newest = vault.snapshot(head.snapshot().orElseThrow());
        SortedMap<String, ChunkMapRef> trees = new TreeMap<>(newest.trees());
        try (Lease lease = vault.acquire(head.id(), HostId.random(), "an earlier version", false);
                ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
            Checkpoint checkpoint = Snapshots.checkpoint(newest).orElseThrow();
            trees.put(IMAGES, firstImages(vault.chunks(), checkpoint.images(), writer));
            trees.put(PAGES, firstPages(vault.chunks(), checkpoint.pages(), writer));
            writer.commit();
            // Which said nothing about its checkpoint's format.
            Map<String, Object> metadata =
                    new LinkedHashMap<>(Json.read(newest.metadata()).fields());
            metadata.remove("checkpoint_format");
            SnapshotId id = vault.put(new SnapshotDraft(
                    head.id(),
                    newest.parent(),
                    newest.created(),
                    newest.kind(),
                    trees,
                    Json.write(metadata),
                    newest.bytesNew(),
                    newest.bytesLogical()));
            vault.putHead(head.next(Optional.of(id), head.settings()), lease);
            return id;
        }
    }

    /** Of two slots a window the first, see docs/FORMAT.md; nothing is laid over the windows of a first checkpoint. */
    private static ChunkMapRef firstPages(ChunkStore chunks, ChunkMapRef pages, ChunkWriter writer) throws IOException {
        ChunkMap.Editor first = ChunkMap.load(chunks, ChunkMapRef.EMPTY).edit();
        ChunkMap.load(chunks, pages).forEach(0, pages.slots(), (slot, ref) -> {
            assertThat(slot % 2).isZero();
            first.set(slot / 2, ref);
        });
        return first.store(writer);
    }

    /** "SATCHKP1", and half as many slots for each pages file. */
    private static ChunkMapRef firstImages(ChunkStore chunks, ChunkMapRef images, ChunkWriter writer)
            throws IOException {
        List<InputStream> parts = new ArrayList<>();
        ChunkMap.load(chunks, images)
                .forEach(0, images.slots(), (slot, ref) -> parts.add(new ByteArrayInputStream(read(chunks, ref))));
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (DataInputStream in = new DataInputStream(new SequenceInputStream(Collections.enumeration(parts)));
                DataOutputStream out = new DataOutputStream(bytes)) {
            assertThat(new String(in.readNBytes(8), StandardCharsets.US_ASCII)).isEqualTo("SATCHKP2");
            out.write("SATCHKP1".getBytes(StandardCharsets.US_ASCII));
            int files = in.readInt();
            int pagesFiles = in.readInt();
            out.writeInt(files);
            out.writeInt(pagesFiles);
            for (int i = 0; i < files + pagesFiles; i++) {
                int length = in.readUnsignedShort();
                out.writeShort(length);
                out.write(in.readNBytes(length));
                if (i >= files) {
                    out.writeLong(in.readLong() / 2);
                    out.writeLong(in.readLong() / 2);
                }
                out.writeLong(in.readLong());
            }
            in.transferTo(out);
        }
        ChunkMap.Editor first = ChunkMap.load(chunks, ChunkMapRef.EMPTY).edit();
        byte[] stream = bytes.toByteArray();
        try (Arena arena = Arena.ofConfined()) {
            for (int at = 0; at < stream.length; at += ChunkRef.LENGTH_MAX) {
                int length = Math.min(ChunkRef.LENGTH_MAX, stream.length - at);
                MemorySegment chunk = arena.allocate(length);
                MemorySegment.copy(stream, at, chunk, ValueLayout.JAVA_BYTE, 0, length);
                first.set(at / ChunkRef.LENGTH_MAX, writer.put(chunk));
            }
        }
        return first.store(writer);
    }

    private static byte[] read(ChunkStore chunks, ChunkRef ref) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment chunk = arena.allocate(ref.length());
            int length = chunks.read(ref, chunk);
            return chunk.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE);
        }
    }
}
