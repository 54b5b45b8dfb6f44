package dev.satchel.vault;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.linux.ThreadClock;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CyclicBarrier;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class KeySlotsTest {
    private static final byte[] SECOND = "battery staple".getBytes(UTF_8);

    @TempDir
    Path directory;

    private DirectoryBackend backend;
    private KeySlots slots;

    @BeforeEach
    void init() throws IOException {
        backend = new DirectoryBackend(directory);
        Vault.init(backend, TestVaults.PASSPHRASE, new KdfCost(KdfParameters.FOR_TESTS, 7), "at home");
        slots = KeySlots.of(backend);
    }

    private KeySlots.Opened open(byte[] typed) throws IOException {
        return slots.open(typed, Optional.empty(), Optional.empty());
    }

    private KeySlots.Opened open(byte[] typed, String named) throws IOException {
        return slots.open(typed, Optional.of(named), Optional.empty());
    }

    private VaultKey key() throws IOException {
        return open(TestVaults.PASSPHRASE).key();
    }

    private void assertOpens(byte[] typed, KeySlotId by) throws IOException {
        KeySlots.Opened opened = open(typed);
        try (VaultKey key = opened.key();
                Vault vault = Vault.open(new DirectoryBackend(directory), key, HeadWitness.NONE)) {
            assertThat(opened.slot()).isEqualTo(by);
            assertThat(vault.heads()).isEmpty();
        }
    }

    private void assertWrong(byte[] typed) {
        assertThatThrownBy(() -> open(typed)).isInstanceOf(WrongPassphraseException.class);
    }

    private KeySlotId only() throws IOException {
        try (VaultKey key = key()) {
            List<KeySlotInfo> all = slots.list(key);
            assertThat(all).hasSize(1);
            return all.getFirst().id();
        }
    }

    private Path file(KeySlotId id) {
        return directory.resolve("keys/" + id);
    }

    private static SecurityKeyCredential credential(int seed) {
        return new SecurityKeyCredential("localhost", TestVaults.noise(seed, 64), TestVaults.noise(seed + 1, 32));
    }

    @Test
    void eachKeyOpensTheVaultAndSaysWhatItIs() throws IOException {
        KeySlotId first = only();
        Instant before = Instant.now().minusMillis(1);
        try (VaultKey key = key();
                RecoveryKey recovery = RecoveryKey.random()) {
            KeySlotInfo second = slots.addPassphrase(key, SECOND, new KdfCost(KdfParameters.FOR_TESTS, 9), "Büro");
            KeySlotInfo words = slots.addRecovery(key, recovery, "");
            KeySlotInfo device = slots.addSecurityKey(key, credential(1), TestVaults.noise(9, 32), "blue one");
            assertThat(slots.list(key))
                    .extracting(KeySlotInfo::id)
                    .containsExactlyInAnyOrder(first, second.id(), words.id(), device.id());
            assertThat(slots.list(key)).contains(second, words, device);
            assertThat(second.label()).contains("Büro");
            assertThat(second.kind()).contains(KeyKind.PASSPHRASE);
            assertThat(second.cost()).contains(KdfParameters.FOR_TESTS);
            assertThat(second.costMillis()).contains(9);
            assertThat(second.created().orElseThrow()).isBetween(before, Instant.now());
            assertThat(words.kind()).contains(KeyKind.RECOVERY);
            assertThat(words.cost()).isEmpty();
            assertThat(device.kind()).contains(KeyKind.SECURITY_KEY);

            assertOpens(TestVaults.PASSPHRASE, first);
            assertOpens(SECOND, second.id());
            assertOpens(recovery.words().getBytes(US_ASCII), words.id());
            assertWrong("neither".getBytes(UTF_8));
            assertWrong(new byte[0]);
            KeySlots.Opened opened = slots.open(credential(1).credential(), TestVaults.noise(9, 32));
            opened.key().close();
            assertThat(opened.slot()).isEqualTo(device.id());
            assertThat(slots.securityKeys(Optional.empty()).getFirst().salt())
                    .isEqualTo(credential(1).salt());
            assertThatThrownBy(() -> slots.open(credential(1).credential(), TestVaults.noise(10, 32)))
                    .isInstanceOf(WrongPassphraseException.class);
            assertThatThrownBy(() -> slots.open(credential(2).credential(), TestVaults.noise(9, 32)))
                    .isInstanceOf(WrongPassphraseException.class);
            // What one kind is opened with is not tried on another.
            assertWrong(TestVaults.noise(9, 32));
        }
    }

    @Test
    void labelsAreSecretAndOfOneLength() throws IOException {
        KeySlotId first = only();
        try (VaultKey key = key()) {
            KeySlotInfo added = slots.addPassphrase(key, SECOND, KdfCost.FOR_TESTS, "");
            assertThat(Files.size(file(added.id()))).isEqualTo(Files.size(file(first)));
        }
        assertThat(new String(Files.readAllBytes(file(first)), UTF_8)).doesNotContain("home");
    }

    @Test
    void oneLabelIsOneKey() throws IOException {
        try (VaultKey key = key()) {
            assertThatThrownBy(() -> slots.addPassphrase(key, SECOND, KdfCost.FOR_TESTS, "at home"))
                    .isInstanceOf(ExistsException.class)
                    .hasMessageContaining("at home");
            assertThatThrownBy(() -> slots.addPassphrase(key, SECOND, KdfCost.FOR_TESTS, "a\u001b[2J"))
                    .isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> slots.addPassphrase(key, SECOND, KdfCost.FOR_TESTS, "ä".repeat(51)))
                    .isInstanceOf(IllegalArgumentException.class);
            slots.addPassphrase(key, SECOND, KdfCost.FOR_TESTS, "ä".repeat(50));
            assertThat(slots.list(key)).hasSize(2);
        }
    }

    /** Slots that were written before there were labels. */
    @Test
    void slotsOfTheFirstVersionAreRead() throws Exception {
        KeySlotId old = KeySlotId.random();
        try (VaultKey key = key()) {
            byte[] slot = FirstVersionSlot.write(Vault.identify(backend), key, SECOND, KdfParameters.FOR_TESTS);
            Files.write(file(old), slot);
            assertOpens(SECOND, old);
            KeySlotInfo info = slots.list(key).stream()
                    .filter(any -> any.id().equals(old))
                    .findFirst()
                    .orElseThrow();
            assertThat(info.kind()).contains(KeyKind.PASSPHRASE);
            assertThat(info.label()).isEmpty();
            assertThat(info.created()).isEmpty();
            assertThat(info.cost()).contains(KdfParameters.FOR_TESTS);
            try (Vault vault = Vault.open(new DirectoryBackend(directory), key, HeadWitness.NONE)) {
                assertThat(vault.verify((done, total) -> {}).errors()).isEmpty();
            }
            // It can be the only one, and be replaced.
            slots.remove(key, "at home");
            KeySlotInfo next = slots.replace(key, old, "third".getBytes(UTF_8), KdfCost.FOR_TESTS);
            assertWrong(SECOND);
            assertOpens("third".getBytes(UTF_8), next.id());
        }
    }

    @Test
    void everyByteOfASlotCounts() throws IOException {
        try (VaultKey key = key()) {
            KeySlotInfo added = slots.addSecurityKey(key, credential(1), TestVaults.noise(9, 32), "blue one");
            byte[] whole = Files.readAllBytes(file(added.id()));
            for (int i = 0; i < whole.length; i++) {
                byte[] bad = whole.clone();
                bad[i] ^= 1;
                Files.write(file(added.id()), bad);
                assertThat(slots.list(key))
                        .filteredOn(info -> info.kind().isEmpty())
                        .hasSize(1);
                assertThatThrownBy(() -> slots.securityKeys(Optional.empty())).isInstanceOf(NoSuchException.class);
            }
            for (int length = 0; length < whole.length; length += 7) {
                Files.write(file(added.id()), Arrays.copyOf(whole, length));
                assertThat(slots.list(key))
                        .filteredOn(info -> info.kind().isEmpty())
                        .hasSize(1);
            }
            Files.write(file(added.id()), Arrays.copyOf(whole, whole.length + 1));
            assertThat(slots.list(key))
                    .filteredOn(info -> info.kind().isEmpty())
                    .hasSize(1);
            // Under another's name.
            Files.write(file(added.id()), whole);
            KeySlotId other = KeySlotId.random();
            Files.copy(file(added.id()), file(other));
            assertThat(slots.list(key))
                    .filteredOn(info -> info.kind().isEmpty())
                    .extracting(KeySlotInfo::id)
                    .containsExactly(other);
            try (Vault vault = Vault.open(new DirectoryBackend(directory), key, HeadWitness.NONE)) {
                assertThat(vault.verify((done, total) -> {}).errors())
                        .singleElement()
                        .asString()
                        .contains(other.toString());
            }
            // The vault opens beside it, and a damaged slot can be removed.
            assertOpens(TestVaults.PASSPHRASE, open(TestVaults.PASSPHRASE).slot());
            slots.remove(key, other.toString());
            assertThat(slots.list(key)).allMatch(info -> info.kind().isPresent());
        }
    }

    /** Whoever forges a whole vault can sign its slots; what those then ask for is not done. */
    @Test
    void aSignedSlotThatAsksForTooMuchIsRefused() throws Exception {
        try (VaultKey key = key()) {
            KeySlotInfo added = slots.addPassphrase(key, SECOND, KdfCost.FOR_TESTS, "greedy");
            byte[] whole = Files.readAllBytes(file(added.id()));
            int[][] parameters = {
                {4 << 20, 1, 1}, {1 << 20, 1000, 1}, {64, 1, 100}, {64, 0, 1}, {-1, 1, 1}, {64, -5, 1}, {1 << 20, 33, 4}
            };
            for (int[] asked : parameters) {
                byte[] bad = Arrays.copyOf(whole, whole.length - 64);
                ByteBuffer.wrap(bad).putInt(12, asked[0]).putInt(16, asked[1]).putInt(20, asked[2]);
                Files.write(file(added.id()), FirstVersionSlot.sign(key, bad));
                long begin = System.nanoTime();
                assertThatThrownBy(() -> open(SECOND)).isInstanceOf(DamagedException.class);
                assertThat(System.nanoTime() - begin).isLessThan(10_000_000_000L);
            }
            // A length that leads beyond the file, or below its beginning.
            for (int length : new int[] {-1, 1, Integer.MAX_VALUE, Integer.MIN_VALUE}) {
                byte[] bad = Arrays.copyOf(whole, whole.length - 64);
                ByteBuffer.wrap(bad).putInt(89, length);
                Files.write(file(added.id()), FirstVersionSlot.sign(key, bad));
                assertThatThrownBy(() -> open(SECOND)).isInstanceOf(DamagedException.class);
            }
        }
    }

    @Test
    void anotherVaultsSlotAndKeyAreRefused(@TempDir Path elsewhere) throws IOException {
        String mine = only().toString();
        Vault.init(new DirectoryBackend(elsewhere), SECOND, KdfParameters.FOR_TESTS);
        try (Stream<Path> theirs = Files.list(elsewhere.resolve("keys"))) {
            Path slot = theirs.findFirst().orElseThrow();
            Files.copy(slot, directory.resolve("keys").resolve(slot.getFileName()));
        }
        assertThatThrownBy(() -> open(SECOND)).isInstanceOf(DamagedException.class);
        try (VaultKey theirs = Vault.unlock(new DirectoryBackend(elsewhere), SECOND)) {
            assertThatThrownBy(() -> slots.list(theirs)).isInstanceOf(WrongPassphraseException.class);
            assertThatThrownBy(() -> slots.addPassphrase(theirs, SECOND, KdfCost.FOR_TESTS, ""))
                    .isInstanceOf(WrongPassphraseException.class);
            assertThatThrownBy(() -> slots.remove(theirs, mine)).isInstanceOf(WrongPassphraseException.class);
        }
        assertOpens(TestVaults.PASSPHRASE, open(TestVaults.PASSPHRASE).slot());
    }

    @Test
    void theOneThatIsNamedIsTried() throws IOException {
        try (VaultKey key = key()) {
            KeySlotInfo second = slots.addPassphrase(key, SECOND, KdfCost.FOR_TESTS, "office");
            for (String named : List.of(
                    "office", second.id().toString(), second.id().toString().substring(0, 8))) {
                KeySlots.Opened opened = open(SECOND, named);
                opened.key().close();
                assertThat(opened.slot()).isEqualTo(second.id());
                assertThatThrownBy(() -> open(TestVaults.PASSPHRASE, named))
                        .isInstanceOf(WrongPassphraseException.class);
            }
            assertThatThrownBy(() -> open(SECOND, "at home")).isInstanceOf(WrongPassphraseException.class);
            // Whatever the hint lets through: of many labels none opens it but its own.
            for (int i = 0; i < 600; i++) {
                int number = i;
                assertThatThrownBy(() -> open(SECOND, "office " + number)).isInstanceOf(WrongPassphraseException.class);
            }
        }
    }

    /** Beside a slot that would take minutes to try, whoever needs it not does not try it. */
    @Test
    void severalKeysDoNotMultiplyTheTime() throws IOException {
        try (VaultKey key = key();
                RecoveryKey recovery = RecoveryKey.random()) {
            KeySlotInfo slow = slots.addPassphrase(key, "slow".getBytes(UTF_8), KdfCost.FOR_TESTS, "slow");
            KeySlot other = slots.whole().stream()
                    .filter(slot -> slot.id().equals(slow.id()))
                    .findFirst()
                    .orElseThrow();
            int number = 0;
            while (other.mayBeLabelled("office " + number)) {
                number++; // one label of 256
            }
            String label = "office " + number;
            KeySlotInfo cheap = slots.addPassphrase(key, SECOND, KdfCost.FOR_TESTS, label);
            KeySlotInfo words = slots.addRecovery(key, recovery, "paper");
            byte[] bytes = Files.readAllBytes(file(slow.id()));
            byte[] unsigned = Arrays.copyOf(bytes, bytes.length - 64);
            ByteBuffer.wrap(unsigned).putInt(12, 64 * 1024).putInt(16, 512);
            Files.write(file(slow.id()), FirstVersionSlot.sign(key, unsigned));

            long begin = System.nanoTime();
            assertOpens(SECOND, cheap.id());
            assertOpens(recovery.words().getBytes(US_ASCII), words.id());
            assertThatThrownBy(() -> open("wrong".getBytes(UTF_8), label)).isInstanceOf(WrongPassphraseException.class);
            assertThat(System.nanoTime() - begin).isLessThan(20_000_000_000L);

            // The one that opened it here the last time goes first, whatever it costs.
            assertThat(inOrder(Optional.empty()).getLast()).isEqualTo(slow.id());
            assertThat(inOrder(Optional.of(slow.id())).getFirst()).isEqualTo(slow.id());
            assertThat(inOrder(Optional.of(words.id())).getFirst()).isEqualTo(words.id());
        }
    }

    private List<KeySlotId> inOrder(Optional<KeySlotId> likely) throws IOException {
        return slots.whole().stream()
                .sorted(KeySlots.order(likely))
                .map(KeySlot::id)
                .toList();
    }

    @Test
    void aRecoveryKeyWithAMistakeSaysWhere() throws IOException {
        try (VaultKey key = key();
                RecoveryKey recovery = RecoveryKey.random();
                RecoveryKey stranger = RecoveryKey.random()) {
            slots.addRecovery(key, recovery, "");
            List<String> words = new ArrayList<>(List.of(recovery.words().split(" ", -1)));
            words.set(6, words.get(6).equals("zebra") ? "zero" : "zebra");
            assertThatThrownBy(() -> open(String.join(" ", words).getBytes(US_ASCII)))
                    .isInstanceOf(WrongPassphraseException.class)
                    .hasMessageContaining("word 7, '" + words.get(6) + "'");
            assertThatThrownBy(() -> open(stranger.words().getBytes(US_ASCII)))
                    .isInstanceOf(WrongPassphraseException.class)
                    .hasMessageStartingWith("the passphrase is wrong");
        }
    }

    /** Such words are a passphrase, too, if somebody chose them. */
    @Test
    void aPassphraseMayLookLikeARecoveryKey() throws IOException {
        byte[] words =
                "abandon ability able about above absent absorb abstract absurd abuse access accident account accuse achieve"
                        .getBytes(US_ASCII);
        try (VaultKey key = key()) {
            KeySlotInfo added = slots.addPassphrase(key, words, KdfCost.FOR_TESTS, "");
            assertOpens(words, added.id());
        }
    }

    @Test
    void whatIsRemovedOpensNoMore() throws IOException {
        try (VaultKey key = key();
                RecoveryKey recovery = RecoveryKey.random()) {
            slots.addPassphrase(key, SECOND, KdfCost.FOR_TESTS, "office");
            KeySlotInfo words = slots.addRecovery(key, recovery, "paper");
            slots.addSecurityKey(key, credential(1), TestVaults.noise(9, 32), "blue one");
            assertThatThrownBy(() -> slots.remove(key, "nothing")).isInstanceOf(NoSuchException.class);
            assertThatThrownBy(() -> slots.remove(key, "")).isInstanceOf(NoSuchException.class);
            slots.remove(key, "blue one");
            assertThatThrownBy(() -> slots.open(credential(1).credential(), TestVaults.noise(9, 32)))
                    .isInstanceOf(WrongPassphraseException.class);
            slots.remove(key, "office");
            assertWrong(SECOND);
            slots.remove(key, words.id().toString().substring(0, 6));
            assertWrong(recovery.words().getBytes(US_ASCII));
            assertThat(slots.list(key))
                    .extracting(info -> info.label().orElseThrow())
                    .containsExactly("at home");
            assertThat(backend.list("keyremovals")).isEmpty();
        }
    }

    @Test
    void theLastKeyThatNeedsNoDeviceStays() throws IOException {
        try (VaultKey key = key()) {
            assertThatThrownBy(() -> slots.remove(key, "at home")).isInstanceOf(ExistsException.class);
            slots.addSecurityKey(key, credential(1), TestVaults.noise(9, 32), "blue one");
            assertThatThrownBy(() -> slots.remove(key, "at home")).isInstanceOf(ExistsException.class);
            // A damaged one does not count as one that opens the vault.
            KeySlotInfo second = slots.addPassphrase(key, SECOND, KdfCost.FOR_TESTS, "office");
            byte[] whole = Files.readAllBytes(file(second.id()));
            Files.write(file(second.id()), Arrays.copyOf(whole, 100));
            assertThatThrownBy(() -> slots.remove(key, "at home")).isInstanceOf(ExistsException.class);
            Files.write(file(second.id()), whole);
            assertThat(backend.list("keyremovals")).isEmpty();
            slots.remove(key, "at home");
            assertThatThrownBy(() -> slots.remove(key, "office")).isInstanceOf(ExistsException.class);
            assertOpens(SECOND, second.id());
        }
    }

    @Test
    void aNewPassphraseTakesThePlaceOfTheOldOne() throws IOException {
        KeySlotId old = only();
        try (VaultKey key = key()) {
            KeySlotInfo added = slots.replace(key, old, SECOND, KdfCost.FOR_TESTS);
            assertThat(added.label()).contains("at home");
            assertThat(slots.list(key)).containsExactly(added);
            assertOpens(SECOND, added.id());
        }
        assertWrong(TestVaults.PASSPHRASE);
    }

    /** A disk that dies at its n-th write: with whatever was written until then, the old or the new passphrase opens the vault. */
    @Test
    void whereverAChangeOfThePassphraseIsCutOffOneOfTheTwoOpens() throws IOException {
        for (int writes = 0; ; writes++) {
            Path copy = directory.resolve("copy" + writes);
            DirectoryBackend place = new DirectoryBackend(copy);
            Vault.init(place, TestVaults.PASSPHRASE, KdfParameters.FOR_TESTS);
            boolean finished = false;
            KeySlots.Opened opened = KeySlots.of(place).open(TestVaults.PASSPHRASE, Optional.empty(), Optional.empty());
            try (VaultKey key = opened.key()) {
                KeySlots.of(new DyingBackend(place, writes)).replace(key, opened.slot(), SECOND, KdfCost.FOR_TESTS);
                finished = true;
            } catch (DyingBackend.Died e) {
                // As meant.
            }
            boolean oldOpens = opens(place, TestVaults.PASSPHRASE);
            boolean newOpens = opens(place, SECOND);
            assertThat(oldOpens || newOpens).as("after " + writes + " writes").isTrue();
            // And the change can be made again.
            KeySlots.Opened again = KeySlots.of(place)
                    .open(newOpens ? SECOND : TestVaults.PASSPHRASE, Optional.empty(), Optional.empty());
            try (VaultKey key = again.key()) {
                KeySlots.of(place).replace(key, again.slot(), "third".getBytes(UTF_8), KdfCost.FOR_TESTS);
            }
            assertThat(opens(place, "third".getBytes(UTF_8))).isTrue();
            if (finished) {
                assertThat(oldOpens).isFalse();
                assertThat(writes).isGreaterThanOrEqualTo(4);
                return;
            }
        }
    }

    private static boolean opens(Backend place, byte[] passphrase) throws IOException {
        try {
            Vault.unlock(place, passphrase).close();
            return true;
        } catch (WrongPassphraseException e) {
            return false;
        }
    }

    /** Two hosts, each removing the key that the other thinks will remain: never are both gone. */
    @Test
    void twoRemovalsAtTheSameTimeLeaveAKey() throws Exception {
        for (int round = 0; round < 40; round++) {
            Path place = directory.resolve("race" + round);
            Vault.init(new DirectoryBackend(place), TestVaults.PASSPHRASE, KdfCost.FOR_TESTS, "a");
            try (VaultKey key = Vault.unlock(new DirectoryBackend(place), TestVaults.PASSPHRASE)) {
                KeySlots.of(new DirectoryBackend(place)).addPassphrase(key, SECOND, KdfCost.FOR_TESTS, "b");
                CyclicBarrier start = new CyclicBarrier(2);
                List<Thread> hosts = new ArrayList<>();
                List<Throwable> failures = java.util.Collections.synchronizedList(new ArrayList<>());
                for (String label : List.of("a", "b")) {
                    hosts.add(Thread.ofPlatform().start(() -> {
                        try {
                            KeySlots mine = KeySlots.of(new DirectoryBackend(place));
                            start.await();
                            mine.remove(key, label);
                        } catch (Exception e) {
                            failures.add(e);
                        }
                    }));
                }
                for (Thread host : hosts) {
                    host.join();
                }
                assertThat(failures).isNotEmpty().allMatch(e -> e instanceof ExistsException, "gave way");
                assertThat(KeySlots.of(new DirectoryBackend(place)).list(key)).isNotEmpty();
            }
        }
    }

    /** What a host that died left: its key doesn't count until the removal is tried again. */
    @Test
    void aRemovalThatWasCutOffIsFinishedLater() throws IOException {
        try (VaultKey key = key();
                Arena arena = Arena.ofConfined()) {
            KeySlotInfo second = slots.addPassphrase(key, SECOND, KdfCost.FOR_TESTS, "office");
            backend.putIfAbsent("keyremovals/" + second.id(), TestVaults.segment(arena, new byte[8]));
            assertThatThrownBy(() -> slots.remove(key, "at home")).isInstanceOf(ExistsException.class);
            slots.remove(key, "office");
            assertWrong(SECOND);
            assertThat(backend.list("keyremovals")).isEmpty();
        }
    }

    @Test
    void theCostOfAGuessIsMeasured() throws IOException {
        long second = 1_000_000_000L;
        assertThat(KdfCost.within(second / 5, second / 10)).isEqualTo(new KdfCost(new KdfParameters(65536, 4, 4), 500));
        assertThat(KdfCost.within(2 * second, second)).isEqualTo(new KdfCost(KdfParameters.DEFAULT, 4000));
        assertThat(KdfCost.within(second / 1000, second / 1000).parameters().passes())
                .isEqualTo(64);
        KdfCost here = KdfCost.measured();
        assertThat(here.parameters().memoryKib()).isEqualTo(65536);
        assertThat(here.parameters().passes()).isBetween(3, 64);
        assertThat(here.millis()).isPositive();
        // Waiting costs nobody a guess.
        long begin = ThreadClock.usedNanos();
        java.util.concurrent.locks.LockSupport.parkNanos(second / 2);
        assertThat(ThreadClock.usedNanos() - begin).isBetween(0L, second / 4);
    }
}
