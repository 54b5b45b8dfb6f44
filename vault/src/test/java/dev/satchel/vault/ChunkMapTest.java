package dev.satchel.vault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.TreeMap;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;
import org.assertj.core.api.SoftAssertions;

/** Chunk maps against {@link TreeMap}. */
class ChunkMapTest {
    private static Path directory;
    private static Vault vault;

    @BeforeContainer
    static void makeVault() throws IOException {
        directory = Files.createTempDirectory("satchel-chunk-map");
        vault = TestVaults.create(directory);
    }

    @AfterContainer
    static void removeVault() throws IOException {
        vault.close();
        try (var all = Files.walk(directory)) {
            for (Path path : all.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        }
    }

    /** Sets a slot, or clears it when there is no chunk. */
    record Change(long slot, Optional<ChunkRef> chunk) {}

    @Provide
    Arbitrary<List<List<Change>>> rounds() {
        Arbitrary<Long> slots = Arbitraries.frequencyOf(
                net.jqwik.api.Tuple.of(5, Arbitraries.longs().between(0, 30)),
                net.jqwik.api.Tuple.of(3, Arbitraries.longs().between(1000, 3000)),
                net.jqwik.api.Tuple.of(1, Arbitraries.longs().between(0, 5_000_000)),
                net.jqwik.api.Tuple.of(1, Arbitraries.longs().between(0, ChunkMap.SLOTS_MAX - 1)));
        Arbitrary<ChunkRef> refs = Combinators.combine(
                        Arbitraries.integers().between(1, 3),
                        Arbitraries.longs(),
                        Arbitraries.integers().between(1, ChunkRef.LENGTH_MAX))
                .as((domain, id, length) ->
                        new ChunkRef(new KeyDomainId(domain, 0), new ChunkId(id, 1, -id, 3), length));
        Arbitrary<Change> changes =
                Combinators.combine(slots, refs.optional(0.7)).as(Change::new);
        return changes.list().ofMaxSize(25).list().ofMinSize(1).ofMaxSize(4);
    }

    @Property(tries = 60)
    void behavesAsATreeMap(@ForAll("rounds") List<List<Change>> rounds) throws IOException {
        NavigableMap<Long, ChunkRef> expected = new TreeMap<>();
        ChunkMap map = ChunkMap.load(vault.chunks(), ChunkMapRef.EMPTY);
        ChunkMap.Editor kept = map.edit();
        try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
            for (List<Change> round : rounds) {
                NavigableMap<Long, ChunkRef> before = new TreeMap<>(expected);
                ChunkMap.Editor editor = map.edit();
                for (Change change : round) {
                    if (change.chunk().isPresent()) {
                        editor.set(change.slot(), change.chunk().get());
                        kept.set(change.slot(), change.chunk().get());
                        expected.put(change.slot(), change.chunk().get());
                    } else {
                        editor.clear(change.slot());
                        kept.clear(change.slot());
                        expected.remove(change.slot());
                    }
                    assertThat(editor.get(change.slot())).isEqualTo(change.chunk());
                }
                ChunkMapRef ref = editor.store(writer);
                // An edit that went on since the beginning says the same as one that was loaded anew.
                assertThat(kept.store(writer)).isEqualTo(ref);
                writer.commit();
                check(map, before);
                checkChanges(map, ref, before, expected);
                map = ChunkMap.load(vault.chunks(), ref);
                check(map, expected);
            }
        }
    }

    /** What one map has not at the same place as another: exactly the slots that differ, and every node that the other lacks. */
    private static void checkChanges(
            ChunkMap map, ChunkMapRef next, NavigableMap<Long, ChunkRef> before, NavigableMap<Long, ChunkRef> expected)
            throws IOException {
        List<ChunkRef> nodes = new ArrayList<>();
        List<ChunkRef> chunks = new ArrayList<>();
        ChunkMap.walkChanges(vault.chunks(), map.ref(), next, new ChunkMap.Walker() {
            @Override
            public boolean node(ChunkRef ref) {
                return nodes.add(ref);
            }

            @Override
            public void chunk(ChunkRef ref) {
                chunks.add(ref);
            }
        });
        List<ChunkRef> changed = new ArrayList<>();
        expected.forEach((slot, chunk) -> {
            if (!chunk.equals(before.get(slot))) {
                changed.add(chunk);
            }
        });
        assertThat(chunks).isEqualTo(changed);
        List<ChunkRef> made = new ArrayList<>();
        ChunkMap.load(vault.chunks(), next).forEachNode((slot, ref) -> made.add(ref));
        map.forEachNode((slot, ref) -> made.remove(ref));
        assertThat(nodes).containsAll(made);
    }

    private static void check(ChunkMap map, NavigableMap<Long, ChunkRef> expected) throws IOException {
        SoftAssertions softly = new SoftAssertions();
        softly.assertThat(map.ref().slots()).isEqualTo(expected.isEmpty() ? 0 : expected.lastKey() + 1);
        softly.assertThat(map.ref().logicalBytes())
                .isEqualTo(
                        expected.values().stream().mapToLong(ChunkRef::length).sum());
        List<Long> slots = new ArrayList<>();
        map.forEach(0, ChunkMap.SLOTS_MAX, (slot, ref) -> {
            slots.add(slot);
            softly.assertThat(ref).isEqualTo(expected.get(slot));
        });
        softly.assertThat(slots).isEqualTo(List.copyOf(expected.keySet()));
        List<Long> some = new ArrayList<>();
        map.forEach(7, 1500, (slot, ref) -> some.add(slot));
        softly.assertThat(some).isEqualTo(List.copyOf(expected.subMap(7L, 1500L).keySet()));
        for (long slot : new long[] {0, 1, 29, 1023, 1024, 1 << 20, ChunkMap.SLOTS_MAX - 1}) {
            softly.assertThat(map.get(slot)).isEqualTo(Optional.ofNullable(expected.get(slot)));
        }
        softly.assertAll();
    }

    @net.jqwik.api.Example
    void anEditWritesOnlyTheNodesThatChanged() throws IOException {
        ChunkRef chunk = new ChunkRef(new KeyDomainId(1, 1), new ChunkId(1, 2, 3, 4), 4096);
        try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
            ChunkMap.Editor editor =
                    ChunkMap.load(vault.chunks(), ChunkMapRef.EMPTY).edit();
            for (int slot = 0; slot < 20 * ChunkMap.FANOUT; slot++) {
                editor.set(slot, new ChunkRef(chunk.domain(), new ChunkId(slot, 2, 3, 4), 4096));
            }
            ChunkMapRef ref = editor.store(writer);
            writer.commit();
            long before = writer.commit().chunksPut();
            ChunkMap.Editor next = ChunkMap.load(vault.chunks(), ref).edit();
            next.set(5, chunk);
            next.store(writer);
            assertThat(writer.commit().chunksPut() - before).isEqualTo(2);
            next.store(writer);
            assertThat(writer.commit().chunksPut() - before).isEqualTo(2);
        }
    }

    /** @param below whether what a node names is asked for */
    private static List<ChunkRef> changes(ChunkMapRef before, ChunkMapRef next, boolean below) throws IOException {
        List<ChunkRef> seen = new ArrayList<>();
        ChunkMap.walkChanges(vault.chunks(), before, next, new ChunkMap.Walker() {
            @Override
            public boolean node(ChunkRef ref) {
                seen.add(ref);
                return below;
            }

            @Override
            public void chunk(ChunkRef ref) {
                seen.add(ref);
            }
        });
        return seen;
    }

    @net.jqwik.api.Example
    void whatIsBelowANodeThatBothHaveIsPassedOver() throws IOException {
        ChunkRef chunk = new ChunkRef(new KeyDomainId(1, 1), new ChunkId(1, 2, 3, 4), 4096);
        ChunkRef other = new ChunkRef(new KeyDomainId(1, 1), new ChunkId(5, 2, 3, 4), 4096);
        try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
            ChunkMap.Editor editor =
                    ChunkMap.load(vault.chunks(), ChunkMapRef.EMPTY).edit();
            for (int leaf = 0; leaf < 3; leaf++) {
                editor.set((long) leaf * ChunkMap.FANOUT + leaf, chunk);
            }
            ChunkMapRef before = editor.store(writer);
            editor.set(ChunkMap.FANOUT + 7, other);
            ChunkMapRef next = editor.store(writer);
            editor.set((1L << 20) + 9, chunk);
            ChunkMapRef larger = editor.store(writer);
            writer.commit();
            List<ChunkRef> nodes = new ArrayList<>();
            ChunkMap.load(vault.chunks(), next).forEachNode((_, node) -> nodes.add(node));
            assertThat(changes(before, next, true)).containsExactly(nodes.get(0), nodes.get(2), other);
            assertThat(changes(before, next, false)).containsExactly(nodes.get(0));
            assertThat(changes(next, next, true)).isEmpty();
            // Of a map that has become larger, or smaller, what stayed is elsewhere in the tree.
            assertThat(changes(next, larger, true)).hasSize(4).doesNotContainAnyElementsOf(nodes);
            assertThat(changes(larger, next, true)).isEmpty();
            // What can't be read of the one before counts as nothing, whether it had as many levels or more.
            ChunkRef missing = new ChunkRef(nodes.get(0).domain(), chunk.id(), 4096);
            for (long slots : new long[] {next.slots(), larger.slots()}) {
                ChunkMapRef lost = new ChunkMapRef(Optional.of(missing), slots, 1);
                assertThat(changes(lost, next, true)).hasSize(8).containsAll(nodes);
            }
        }
    }

    @net.jqwik.api.Example
    void refusesAChunkThatIsNoNode() throws IOException {
        try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
            ChunkRef noNode = TestVaults.put(writer, TestVaults.noise(99, 3000));
            writer.commit();
            ChunkMap map = ChunkMap.load(vault.chunks(), new ChunkMapRef(Optional.of(noNode), 5, 5));
            assertThatThrownBy(() -> map.get(0)).isInstanceOf(DamagedException.class);
            assertThatThrownBy(() -> map.get(-1)).isInstanceOf(IllegalArgumentException.class);
        }
    }
}
