package dev.satchel.vault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(300)
class HostCacheTest {
    private static final KeyDomainId DOMAIN = new KeyDomainId(3, 4);
    private static final long BYTES = 4 << 20;

    @TempDir
    Path directory;

    private final ChunkBuffer buffer = new ChunkBuffer();

    private static ChunkId id(long number) {
        Random random = new Random(number);
        return new ChunkId(random.nextLong(), random.nextLong(), number, 1);
    }

    private static byte[] sealed(long number) {
        return TestVaults.noise(number, 17 + (int) (number * 7919 % 30_000));
    }

    private static void put(HostCache cache, ChunkBuffer buffer, long number) throws IOException {
        byte[] bytes = sealed(number);
        MemorySegment sealed = buffer.sealed().asSlice(0, bytes.length);
        sealed.copyFrom(MemorySegment.ofArray(bytes));
        cache.put(
                new SealedChunk(DOMAIN, id(number), 5, 6, new byte[SealedChunk.WRAPPED_KEY_BYTES], 100, 1, 9, sealed),
                buffer);
    }

    private static boolean has(HostCache cache, ChunkBuffer buffer, long number) throws IOException {
        Optional<HostCache.Found> found = cache.find(DOMAIN, id(number), buffer);
        if (found.isPresent()) {
            byte[] bytes = sealed(number);
            assertThat(found.get().chunk().sealed().mismatch(MemorySegment.ofArray(bytes)))
                    .isEqualTo(-1);
            if (cache.isOld(found.get())) {
                cache.put(found.get().chunk(), buffer);
            }
        }
        return found.isPresent();
    }

    private HostCache open() throws IOException {
        return HostCache.open(directory, OptionalLong.of(BYTES)).orElseThrow();
    }

    @Test
    void keepsWhatIsAskedForWithinItsBoundAndLosesTheRest() throws IOException {
        try (HostCache cache = open()) {
            int kept = 8;
            for (int number = 0; number < 2_000; number++) {
                put(cache, buffer, number);
                if (number % 16 == 15) {
                    for (int asked = 0; asked < kept; asked++) {
                        assertThat(has(cache, buffer, asked))
                                .as("%s after %s", asked, number)
                                .isTrue();
                    }
                }
            }
            for (int number = 1_950; number < 2_000; number++) {
                assertThat(has(cache, buffer, number)).isTrue();
            }
            for (int number = kept; number < 1_500; number++) {
                assertThat(has(cache, buffer, number)).isFalse();
            }
            assertThat(cache.usage().bytesUsed()).isLessThanOrEqualTo(BYTES).isGreaterThan(BYTES / 2);
        }
        assertThat(Files.size(directory.resolve("chunks"))).isLessThanOrEqualTo(BYTES);
        // Nothing else that grows.
        try (var all = Files.list(directory)) {
            assertThat(all.map(path -> path.getFileName().toString())).containsExactlyInAnyOrder("chunks", "lock");
        }
    }

    @Test
    void isThereAgainWithTheSizeItHasAndAnewWithAnother() throws IOException {
        try (HostCache cache = open()) {
            put(cache, buffer, 1);
        }
        try (HostCache cache = HostCache.open(directory, OptionalLong.empty()).orElseThrow()) {
            assertThat(has(cache, buffer, 1)).isTrue();
        }
        try (HostCache before = open();
                HostCache cache =
                        HostCache.open(directory, OptionalLong.of(2 * BYTES)).orElseThrow()) {
            assertThat(has(cache, buffer, 1)).isFalse();
            assertThat(cache.bytes()).isGreaterThan(BYTES).isLessThanOrEqualTo(2 * BYTES);
            // Who had the old one goes on with it.
            put(before, buffer, 2);
            assertThat(has(before, buffer, 1)).isTrue();
            assertThat(has(cache, buffer, 2)).isFalse();
        }
        assertThatThrownBy(() -> HostCache.open(directory, OptionalLong.of(1000)))
                .isInstanceOf(IllegalArgumentException.class);
    }

    /** Another process may have the file damaged while this one has it mapped. */
    @Test
    void saysHowOneThatIsDamagedIsMadeAnew() throws IOException {
        try (HostCache cache = open();
                RandomAccessFile file =
                        new RandomAccessFile(directory.resolve("chunks").toFile(), "rw")) {
            file.seek(64); // how far the ring has been written
            file.write(new byte[8]);
            assertThatThrownBy(() -> put(cache, buffer, 1))
                    .isInstanceOf(DamagedException.class)
                    .hasMessageContaining("'satchel vault clear-cache'");
        }
    }

    @Test
    void isClearedWhileItIsUsed() throws IOException {
        try (HostCache cache = open()) {
            for (int number = 0; number < 100; number++) {
                put(cache, buffer, number);
            }
            assertThat(HostCache.clear(directory)).isGreaterThan(1_000_000);
            assertThat(has(cache, buffer, 99)).isFalse();
            assertThat(cache.usage().bytesUsed()).isZero();
            byte[] all = Files.readAllBytes(directory.resolve("chunks"));
            for (int at = 4096; at < all.length; at++) {
                if (all[at] != 0) {
                    throw new AssertionError("byte " + at + " is there still");
                }
            }
            put(cache, buffer, 200);
            assertThat(has(cache, buffer, 200)).isTrue();
        }
        assertThat(HostCache.clear(directory.resolve("none"))).isZero();
        assertThat(HostCache.usage(directory.resolve("none"))).isEmpty();
    }

    /** Every byte of the header and of the table, and some of the ring: what is found is what was put, or nothing, or the caller finds out. */
    @Test
    void damageCostsChunksAndNothingElse() throws IOException {
        Random random = new Random(11);
        for (int round = 0; round < 200; round++) {
            try (HostCache cache = open()) {
                for (int number = 0; number < 20; number++) {
                    put(cache, buffer, number);
                }
            }
            try (RandomAccessFile file =
                    new RandomAccessFile(directory.resolve("chunks").toFile(), "rw")) {
                for (int i = 0; i < 40; i++) {
                    file.seek(round % 4 == 0 ? random.nextInt(144) : random.nextInt(80_000));
                    file.write(random.nextInt(256));
                }
            }
            try (HostCache cache = open()) {
                for (int number = 0; number < 20; number++) {
                    Optional<HostCache.Found> found = cache.find(DOMAIN, id(number), buffer);
                    if (found.isPresent()) {
                        assertThat(found.get().chunk().id()).isEqualTo(id(number));
                        cache.drop(found.get(), buffer);
                        assertThat(cache.find(DOMAIN, id(number), buffer)).isEmpty();
                    }
                }
                try {
                    put(cache, buffer, 300);
                } catch (DamagedException e) {
                    Files.delete(directory.resolve("chunks"));
                }
            }
        }
    }

    /** Puts and gets at random until it is killed. */
    public static final class User {
        private User() {}

        /** Arguments: directory, seed. */
        public static void main(String[] arguments) throws IOException {
            Random random = new Random(Long.parseLong(arguments[1]));
            ChunkBuffer buffer = new ChunkBuffer();
            long hits = 0;
            try (HostCache cache = HostCache.open(Path.of(arguments[0]), OptionalLong.of(BYTES))
                    .orElseThrow()) {
                for (long i = 0; ; i++) {
                    long number = random.nextInt(400);
                    if (has(cache, buffer, number)) {
                        hits++;
                    } else {
                        put(cache, buffer, number);
                    }
                    if (i % 500 == 499) {
                        System.out.println(hits);
                    }
                }
            } catch (Throwable wrong) {
                // Also when it can't print it any more: the test sees an exit by itself.
                wrong.printStackTrace();
                System.out.println("wrong: " + wrong);
                System.exit(3);
            }
        }
    }

    private Process start(long seed) throws IOException {
        return new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "--enable-native-access=ALL-UNNAMED",
                        "-cp",
                        System.getProperty("java.class.path"),
                        User.class.getName(),
                        directory.toString(),
                        Long.toString(seed))
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
    }

    @Test
    void twoProcessesShareItAndAreKilledAtAnyMoment() throws Exception {
        Random random = new Random(5);
        for (int round = 0; round < 4; round++) {
            Process one = start(2L * round);
            Process other = start(2L * round + 1);
            try (var first = one.inputReader();
                    var second = other.inputReader()) {
                for (int line = 0; line < 3; line++) {
                    assertThat(Long.parseLong(first.readLine())).isNotNegative();
                    assertThat(Long.parseLong(second.readLine())).isNotNegative();
                }
                Thread.sleep(random.nextInt(40));
                one.destroyForcibly();
                assertThat(one.waitFor(10, TimeUnit.SECONDS)).isTrue();
                assertThat(Long.parseLong(second.readLine())).isPositive();
                assertThat(other.isAlive()).isTrue();
                other.destroyForcibly();
                assertThat(other.waitFor(10, TimeUnit.SECONDS)).isTrue();
            }
            try (HostCache cache = open()) {
                int found = 0;
                for (int number = 0; number < 400; number++) {
                    found += has(cache, buffer, number) ? 1 : 0;
                }
                assertThat(found).isGreaterThan(80);
            }
            assertThat(Files.size(directory.resolve("chunks"))).isLessThanOrEqualTo(BYTES);
        }
    }
}
