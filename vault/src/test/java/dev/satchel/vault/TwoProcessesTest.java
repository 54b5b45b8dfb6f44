package dev.satchel.vault;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Two JVMs use one vault at once; then one is killed in the middle. */
class TwoProcessesTest {
    private static final int ROUNDS = 12;

    @TempDir
    Path directory;

    /** Commits batch after batch, half of it the same in every process, and moves a head of its own. */
    public static final class Writer {
        private Writer() {}

        /** Arguments: vault, number of the writer, rounds. */
        public static void main(String[] arguments) throws IOException {
            int number = Integer.parseInt(arguments[1]);
            int rounds = Integer.parseInt(arguments[2]);
            SessionId session = new SessionId(7, number);
            try (Vault vault = TestVaults.open(Path.of(arguments[0]));
                    Lease lease = vault.acquire(session, new HostId(1, number), "host-" + number, false)) {
                Optional<SnapshotId> parent = Optional.empty();
                for (int round = 0; round < rounds; round++) {
                    ChunkMapRef map = TestVaults.map(
                            vault,
                            List.of(
                                    TestVaults.noise(round, 50_000),
                                    TestVaults.noise(1_000_000L * number + round, 50_000)));
                    SnapshotId snapshot = vault.put(TestVaults.draft(session, parent, map));
                    parent = Optional.of(snapshot);
                    vault.putHead(new Head(session, "session-" + number, round + 1, parent, new byte[0]), lease);
                    System.out.println("round " + round);
                }
            }
        }
    }

    /** The same, and removes all snapshots of its own but the newest two; the pace of a session that is saved all the time. */
    public static final class Rewriter {
        private Rewriter() {}

        /** Arguments: vault, number of the writer, rounds. */
        public static void main(String[] arguments) throws IOException {
            int number = Integer.parseInt(arguments[1]);
            int rounds = Integer.parseInt(arguments[2]);
            SessionId session = new SessionId(7, number);
            int overtaken = 0;
            try (Vault vault = TestVaults.open(Path.of(arguments[0]));
                    Lease lease = vault.acquire(session, new HostId(1, number), "host-" + number, false)) {
                List<SnapshotId> mine = new ArrayList<>();
                for (int round = 0; round < rounds; ) {
                    // What the others store, too, what comes back again and again, and what is new.
                    List<byte[]> contents = List.of(
                            TestVaults.noise(round, 50_000),
                            TestVaults.noise(500_000L + round % 5, 50_000),
                            TestVaults.noise(1_000_000L * number + round, 50_000));
                    try (ChunkWriter writer =
                            vault.chunks().writer(vault.chunks().ownDomain())) {
                        ChunkMap.Editor editor =
                                ChunkMap.load(vault.chunks(), ChunkMapRef.EMPTY).edit();
                        for (int i = 0; i < contents.size(); i++) {
                            editor.set(i, TestVaults.put(writer, contents.get(i)));
                        }
                        ChunkMapRef map = editor.store(writer);
                        writer.commit();
                        Optional<SnapshotId> parent = mine.isEmpty() ? Optional.empty() : Optional.of(mine.getLast());
                        try (Pin _ = vault.pin(session, List.of(map), writer)) {
                            SnapshotId snapshot = vault.put(TestVaults.draft(session, parent, map));
                            mine.add(snapshot);
                            vault.putHead(
                                    new Head(
                                            session,
                                            "session-" + number,
                                            round + 1,
                                            Optional.of(snapshot),
                                            new byte[0]),
                                    lease);
                        }
                        round++;
                    } catch (CollectedException e) {
                        overtaken++;
                        continue;
                    }
                    if (mine.size() > 2) {
                        vault.remove(Set.copyOf(mine.subList(0, mine.size() - 2)));
                        mine.subList(0, mine.size() - 2).clear();
                    }
                }
            }
            System.out.println("overtaken " + overtaken);
        }
    }

    @Test
    void collectionsBesideWritersTakeNothingThatIsNeeded() throws Exception {
        TestVaults.create(directory).close();
        List<Process> writers = List.of(start(Rewriter.class, 1, 40), start(Rewriter.class, 2, 40));
        int collections = 0;
        long freed = 0;
        try (Vault vault = TestVaults.open(directory)) {
            while (writers.stream().anyMatch(Process::isAlive)) {
                freed += vault.collect(25, false, ProgressListener.NONE).bytesFreed();
                assertThat(vault.verify(ProgressListener.NONE).errors())
                        .as("after collection %s", collections)
                        .isEmpty();
                collections++;
            }
            for (Process writer : writers) {
                assertThat(writer.waitFor()).isZero();
            }
            vault.collect(25, false, ProgressListener.NONE);
            assertThat(vault.verify(ProgressListener.NONE).errors()).isEmpty();
            assertThat(vault.info().snapshots()).isEqualTo(4);
            for (int number = 1; number <= 2; number++) {
                for (Snapshot snapshot : vault.history(
                        vault.head("session-" + number).orElseThrow().id())) {
                    ChunkMap.load(vault.chunks(), snapshot.trees().get("volume"))
                            .forEach(
                                    0,
                                    10,
                                    (slot, ref) -> assertThat(TestVaults.read(vault, ref))
                                            .hasSize(50_000));
                }
            }
            assertThat(vault.protection().intents()).isEmpty();
            assertThat(vault.protection().pins()).isEmpty();
        }
        assertThat(collections).isGreaterThan(3);
        assertThat(freed).isGreaterThan(2_000_000);
    }

    private Process start(int number, int rounds) throws IOException {
        return start(Writer.class, number, rounds);
    }

    private Process start(Class<?> program, int number, int rounds) throws IOException {
        return new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "--enable-native-access=ALL-UNNAMED",
                        "-cp",
                        System.getProperty("java.class.path"),
                        program.getName(),
                        directory.toString(),
                        Integer.toString(number),
                        Integer.toString(rounds))
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
    }

    private static void checkAll(Vault vault, int number) throws IOException {
        Head head = vault.head("session-" + number).orElseThrow();
        List<Snapshot> history = vault.history(head.id());
        assertThat(history).hasSizeGreaterThanOrEqualTo((int) head.generation());
        for (Snapshot snapshot : history) {
            List<Integer> lengths = new ArrayList<>();
            ChunkMap.load(vault.chunks(), snapshot.trees().get("volume"))
                    .forEach(0, 10, (slot, ref) -> lengths.add(TestVaults.read(vault, ref).length));
            assertThat(lengths).containsExactly(50_000, 50_000);
        }
    }

    @Test
    void bothWritersAndAReaderSeeOneWholeVault() throws Exception {
        TestVaults.create(directory).close();
        try (Vault reader = TestVaults.open(directory)) {
            List<Process> writers = List.of(start(1, ROUNDS), start(2, ROUNDS));
            for (Process writer : writers) {
                writer.getInputStream().transferTo(java.io.OutputStream.nullOutputStream());
                assertThat(writer.waitFor(30, TimeUnit.SECONDS)).isTrue();
                assertThat(writer.exitValue()).isZero();
            }
            checkAll(reader, 1);
            checkAll(reader, 2);
            assertThat(reader.head("session-1").orElseThrow().generation()).isEqualTo(ROUNDS);
            assertThat(reader.verify(ProgressListener.NONE).errors()).isEmpty();
        }
        assertThat(directory.resolve(".tmp")).isEmptyDirectory();
    }

    @Test
    void aWriterKilledInTheMiddleHarmsNothing() throws Exception {
        TestVaults.create(directory).close();
        for (int number = 1; number <= 2; number++) {
            Process writer = start(number, 1_000_000);
            var output = writer.inputReader();
            for (int line = 0; line < 5 * number; line++) {
                assertThat(output.readLine()).isEqualTo("round " + line);
            }
            writer.destroyForcibly();
            assertThat(writer.waitFor(20, TimeUnit.SECONDS)).isTrue();
            try (Vault vault = TestVaults.open(directory)) {
                checkAll(vault, number);
                assertThat(vault.head("session-" + number).orElseThrow().generation())
                        .isGreaterThanOrEqualTo(5L * number);
                assertThat(vault.verify(ProgressListener.NONE).errors()).isEmpty();
                assertThat(vault.holder(new SessionId(7, number))).isPresent();
                try (Lease lease = vault.acquire(new SessionId(7, number), new HostId(9, 9), "next", true)) {
                    assertThat(lease.stillHeld()).isTrue();
                }
                assertThat(directory.resolve(".tmp")).isEmptyDirectory();
            }
        }
        assertThat(Files.exists(directory.resolve("vault"))).isTrue();
    }
}
