package dev.satchel.vault;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.satchel.linux.crypto.Ed25519;
import dev.satchel.linux.crypto.SecretBytes;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.management.ManagementFactory;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;

/**
 * Does to each file of a vault what its storage's owner could: flips bits of every byte, cuts it, lengthens it, puts another file or an
 * older version in its place, takes it away. The vault must notice or say what it said before; never another thing, never anything
 * but a {@link VaultException}, never with memory out of proportion. What it says it must also say when it is written to.
 */
final class Tampering {
    private static final String PLACE = "/vault";
    private static final long ALLOCATED_BYTES_MAX = 32 << 20;

    private final Random random;
    private final SimulatedDisk disk = new SimulatedDisk(1, 1L << 30);
    private final SimulatedDisk.Program process = disk.process();

    /** All contents that a file has had, by its path; and those of another vault with the same passphrase. */
    private final Map<String, List<byte[]>> versions = new LinkedHashMap<>();

    private final Map<SessionId, byte[]> seen = new HashMap<>();
    private final Map<SessionId, Long> seenGenerations = new HashMap<>();
    private Map<String, byte[]> whole = Map.of();
    private String expected = "";
    private VaultKey key;
    private int noticed;
    private int harmless;

    /** Remembers what the vault said when it was whole, and nothing of what it says now. */
    private final HeadWitness witness = new HeadWitness() {
        @Override
        public void observe(VaultId vault, SessionId session, long generation, byte[] hash) throws IOException {
            long newest = seenGenerations.getOrDefault(session, 0L);
            if (generation < newest || (generation == newest && !Arrays.equals(hash, seen.get(session)))) {
                throw new ForgedException("the head of " + session + " was rolled back: find the newer vault");
            }
            if (!frozen) {
                seenGenerations.put(session, generation);
                seen.put(session, hash.clone());
            }
        }

        @Override
        public void forget(VaultId vault, SessionId session) {}
    };

    private boolean frozen;
    private final int share;

    /** @param share of all changes, one of so many is made, chosen at random */
    Tampering(long seed, int share) {
        this.share = share;
        random = new Random(seed * 0x9E3779B97F4A7C15L); // the first numbers of near seeds are near
    }

    private void remember() {
        for (Map.Entry<String, byte[]> file : disk.contents().entrySet()) {
            List<byte[]> of = versions.computeIfAbsent(file.getKey(), _ -> new ArrayList<>());
            if (of.stream().noneMatch(version -> Arrays.equals(version, file.getValue()))) {
                of.add(file.getValue());
            }
        }
    }

    private Vault open(boolean withPassphrase) throws IOException {
        if (!withPassphrase) {
            return Vault.open(process.backend(PLACE), key, witness);
        }
        DirectoryBackend backend = process.backend(PLACE);
        try (VaultKey fresh = Vault.unlock(backend, TestVaults.PASSPHRASE)) {
            return Vault.open(backend, fresh, witness);
        }
    }

    /** A vault with two sessions, an image, and a past. */
    private void fill() throws IOException {
        Vault.init(process.backend(PLACE), TestVaults.PASSPHRASE, KdfParameters.FOR_TESTS);
        key = Vault.unlock(process.backend(PLACE), TestVaults.PASSPHRASE);
        // Another vault's first files and those in the same places.
        Vault.init(process.backend("/other"), TestVaults.PASSPHRASE, KdfParameters.FOR_TESTS);
        remember();
        try (Vault vault = open(false);
                KeyDomain keys = KeyDomain.random()) {
            for (int i = 0; i < 20; i++) {
                try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
                    TestVaults.put(writer, TestVaults.text(100 + i, 20));
                    writer.commit();
                }
                remember();
            }
            for (int s = 0; s < 2; s++) {
                SessionId session = SessionId.random();
                Lease lease = vault.acquire(session, new HostId(1, s), "here", false);
                vault.putHead(Head.first(session, "work" + s, Optional.empty(), new byte[] {'0'}), lease);
                remember();
                for (int i = 0; i < 2; i++) {
                    ChunkMapRef map = TestVaults.map(
                            vault, List.of(TestVaults.text(s * 10 + i, 90), TestVaults.noise(s * 10 + i, 60)));
                    Optional<SnapshotId> parent =
                            vault.head(session).orElseThrow().snapshot();
                    SnapshotId snapshot = vault.put(TestVaults.draft(session, parent, map));
                    vault.putHead(
                            vault.head(session)
                                    .orElseThrow()
                                    .next(Optional.of(snapshot), new byte[] {'x', (byte) ('0' + i)}),
                            lease);
                    remember();
                }
                if (s == 0) {
                    lease.close();
                }
                remember();
            }
            for (int i = 0; i < 2; i++) {
                ChunkMapRef volume;
                try (ChunkWriter writer = vault.chunks().writer(keys)) {
                    ChunkMap.Editor editor =
                            ChunkMap.load(vault.chunks(), ChunkMapRef.EMPTY).edit();
                    editor.set(3, TestVaults.put(writer, TestVaults.text(50 + i, 50)));
                    volume = editor.store(writer);
                    writer.commit();
                }
                vault.putImage(new ImageManifest(
                        ImageId.random(), "desktop" + i, Instant.EPOCH, keys, volume, 77 + i, 50, new byte[0]));
                remember();
            }
            // As if it were a copy that has been synced with two others, with one of them twice.
            require(
                    vault.backend().replace(Replica.FILE, Optional.empty(), Replica.sealed(vault, new ReplicaId(3, 3))),
                    "it is a copy");
            remember();
            for (long other = 0; other < 3; other++) {
                Common.write(
                        vault,
                        new ReplicaId(other / 2, 0),
                        Map.of(new SessionId(other, 1), new SnapshotId(1, 2, 3, other)),
                        new long[] {other, 77});
                remember();
            }
            // What writers, collections and syncs have noted.
            SessionId noting = vault.heads().getFirst().id();
            List<ChunkMapRef> kept =
                    List.copyOf(vault.history(noting).getFirst().trees().values());
            vault.pin(noting, kept);
            remember();
            vault.pin(noting, keys.id());
            remember();
            vault.protection().announce(List.of(), List.of(new SnapshotId(1, 2, 3, 4)));
            remember();
            try (AppendLog log = vault.backend().openLog("log/0/1", true);
                    Arena arena = Arena.ofConfined()) {
                log.append(TestVaults.segment(arena, TestVaults.noise(1, 100)));
            }
            expected = words(vault);
        }
        whole = new TreeMap<>();
        disk.contents().forEach((path, bytes) -> {
            if (path.startsWith(PLACE + "/") && !path.endsWith("/.lock")) {
                whole.put(path, bytes);
            }
        });
        frozen = true;
    }

    /** All that a vault has to say, but whose leases are held: a lease that was rolled back alone gives nothing. */
    private static String words(Vault vault) throws IOException {
        StringBuilder words = new StringBuilder();
        words.append(vault.id());
        for (Head head : vault.heads()) {
            words.append("\nsession ").append(head.name()).append(head.generation());
            words.append(new String(head.settings(), UTF_8));
            words.append(vault.head(head.name()).isPresent());
            vault.holder(head.id());
            for (Snapshot snapshot : vault.history(head.id())) {
                words.append("\nsnapshot ").append(snapshot.id()).append(snapshot.trees());
                for (ChunkMapRef tree : snapshot.trees().values()) {
                    append(words, vault, tree);
                }
            }
        }
        for (ImageManifest image : vault.images()) {
            words.append("\nimage ").append(image.name()).append(image.diskBytes());
            words.append(vault.image(image.name()).isPresent());
            append(words, vault, image.volume());
        }
        vault.protection().pins();
        vault.protection().intents();
        return words.toString();
    }

    private static void append(StringBuilder words, Vault vault, ChunkMapRef tree) throws IOException {
        ChunkMap.load(vault.chunks(), tree)
                .forEach(
                        0,
                        ChunkMap.SLOTS_MAX,
                        (slot, ref) -> words.append(slot).append(Arrays.hashCode(TestVaults.read(vault, ref))));
    }

    /** Whether, of all lines expected, some are missing, and nothing else is said. */
    private boolean isLess(String words) {
        List<String> lines = new ArrayList<>(List.of(expected.split("\n", -1)));
        for (String line : words.split("\n", -1)) {
            if (!lines.remove(line)) {
                return false;
            }
        }
        return true;
    }

    /**
     * Looks at the vault as it now is, and puts it back.
     *
     * @param forgettable whether the vault may not know of it: a whole object that is gone
     * @param verified whether verify has to notice when reading does not
     */
    private void examine(String path, String what, boolean forgettable, boolean verified) throws IOException {
        String told = path + " " + what;
        if (random.nextInt(share) != 0) {
            disk.tamper(path, whole.get(path));
            return;
        }
        boolean isKey = path.equals(PLACE + "/vault") || path.startsWith(PLACE + "/keys/");
        boolean refused = false;
        long before = allocated();
        try (Vault vault = open(isKey)) {
            String words = words(vault);
            // A snapshot that is damaged is left out of what its session has been; verify tells of it.
            boolean less = forgettable || path.startsWith(PLACE + "/snapshots/");
            require(words.equals(expected) || (less && isLess(words)), told + ": it says something else: " + words);
            harmless++;
        } catch (VaultException e) {
            require(String.valueOf(e.getMessage()).contains(": "), told + ": " + e.getMessage());
            noticed++;
            refused = true;
        } catch (IOException | RuntimeException e) {
            throw new AssertionError(told, e);
        }
        require(allocated() - before < ALLOCATED_BYTES_MAX, told + ": " + (allocated() - before) + " bytes allocated");
        if (verified || random.nextInt(10) == 0) {
            try (Vault vault = open(isKey)) {
                List<String> errors = vault.verify(ProgressListener.NONE).errors();
                require(!errors.isEmpty() || !verified, told + ": verify has not noticed");
            } catch (VaultException e) {
                require(refused || isKey, told + ": verify fails: " + e);
            } catch (IOException | RuntimeException e) {
                throw new AssertionError(told + ": verify", e);
            }
        }
        if (random.nextInt(40) == 0) {
            use(told);
            restore();
        } else {
            disk.tamper(path, whole.get(path));
        }
    }

    /** Goes on with a vault that is not whole: it may refuse, not break. */
    private void use(String told) throws IOException {
        frozen = false;
        Map<SessionId, byte[]> seenBefore = new HashMap<>(seen);
        Map<SessionId, Long> generationsBefore = new HashMap<>(seenGenerations);
        try (Vault vault = open(false)) {
            SessionId session = SessionId.parse(whole.keySet().stream()
                    .filter(name -> name.endsWith("/head"))
                    .findFirst()
                    .orElseThrow()
                    .split("/", -1)[3]);
            ChunkMapRef map = TestVaults.map(vault, List.of(TestVaults.text(3, 90), TestVaults.noise(777, 10)));
            Lease lease = vault.acquire(session, new HostId(3, 3), "there", true);
            SnapshotId snapshot = vault.put(TestVaults.draft(session, Optional.empty(), map));
            Head head = vault.head(session)
                    .map(present -> present.next(Optional.of(snapshot), present.settings()))
                    .orElseGet(() -> Head.first(session, "again", Optional.of(snapshot), new byte[0]));
            vault.putHead(head, lease);
            for (ChunkMapRef tree : vault.snapshot(snapshot).trees().values()) {
                append(new StringBuilder(), vault, tree);
            }
        } catch (VaultException e) {
            require(String.valueOf(e.getMessage()).contains(": "), told + ": " + e.getMessage());
        } catch (IOException | RuntimeException e) {
            throw new AssertionError(told + ": used", e);
        } finally {
            frozen = true;
            seen.clear();
            seen.putAll(seenBefore);
            seenGenerations.clear();
            seenGenerations.putAll(generationsBefore);
        }
    }

    private void restore() {
        disk.contents().keySet().forEach(path -> {
            if (!whole.containsKey(path) && path.startsWith(PLACE + "/")) {
                disk.tamper(path, null);
            }
        });
        whole.forEach(disk::tamper);
    }

    private static long allocated() {
        return ((com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean()).getCurrentThreadAllocatedBytes();
    }

    private static void require(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    private static String kind(String path) {
        String[] parts = path.split("/", -1);
        return parts.length <= 3
                ? parts[2]
                : parts[2] + "/" + (parts[2].equals("domains") ? parts[4] : parts.length > 4 ? parts[4] : "");
    }

    /**
     * Objects that are sealed and signed with the vault's own keys, and make no sense: what a host that has them, or another version
     * of the program, could write. They are refused with a word on why, or say what they can say; nothing breaks.
     */
    private void garble(String path, byte[] stored, int one) throws IOException {
        String name = path.substring(PLACE.length() + 1);
        Optional<ObjectSealer.Kind> kind = kindOf(name);
        if (kind.isEmpty()) {
            return;
        }
        byte[] payload;
        String bound = kind.get() == ObjectSealer.Kind.SNAPSHOT ? "" : name;
        try (Ed25519 signer = Vault.signer(key);
                SecretBytes objectKey = Vault.derive(key, "objects");
                DirectoryBackend backend = process.backend(PLACE)) {
            ObjectSealer sealer = new ObjectSealer(Vault.identify(backend), objectKey, signer, PLACE);
            payload = sealer.open(kind.get(), bound, stored, name);
            for (int i = 0; i < Math.max(4, 400 / one); i++) {
                byte[] garbled = random.nextInt(8) == 0 ? TestVaults.noise(i, random.nextInt(200)) : payload.clone();
                for (int k = random.nextInt(3); k >= 0 && garbled.length > 0; k--) {
                    // Lengths and counts are what could be believed too easily.
                    int at = random.nextInt(garbled.length);
                    garbled[at] = (byte) (random.nextBoolean() ? 0xff : random.nextInt());
                }
                garbled =
                        Arrays.copyOf(garbled, garbled.length - random.nextInt(2) * random.nextInt(garbled.length + 1));
                disk.tamper(path, sealer.seal(kind.get(), bound, garbled));
                look(path + " sealed garbage " + i);
            }
        }
        disk.tamper(path, whole.get(path));
    }

    private static Optional<ObjectSealer.Kind> kindOf(String name) {
        if (name.startsWith("sessions/")) {
            return Optional.of(name.endsWith("/head") ? ObjectSealer.Kind.HEAD : ObjectSealer.Kind.LEASE);
        }
        if (name.startsWith("domains/")) {
            return name.endsWith("/key") ? Optional.of(ObjectSealer.Kind.DOMAIN) : Optional.empty();
        }
        return switch (name.substring(0, Math.max(0, name.indexOf('/')))) {
            case "names" -> Optional.of(ObjectSealer.Kind.NAME);
            case "pins" -> Optional.of(ObjectSealer.Kind.PIN);
            case "intents" -> Optional.of(ObjectSealer.Kind.INTENT);
            case "replicas" -> Optional.of(ObjectSealer.Kind.COMMON);
            case "images" -> Optional.of(ObjectSealer.Kind.IMAGE);
            case "snapshots" -> Optional.of(ObjectSealer.Kind.SNAPSHOT);
            default -> Optional.empty();
        };
    }

    /** That whatever it says, it does not break. */
    private void look(String told) {
        long before = allocated();
        try (Vault vault = Vault.open(process.backend(PLACE), key, HeadWitness.NONE)) {
            try {
                words(vault);
                harmless++;
            } catch (VaultException e) {
                require(String.valueOf(e.getMessage()).contains(": "), told + ": " + e.getMessage());
                noticed++;
            }
            vault.verify(ProgressListener.NONE);
        } catch (VaultException e) {
            noticed++;
        } catch (IOException | RuntimeException e) {
            throw new AssertionError(told, e);
        }
        require(allocated() - before < ALLOCATED_BYTES_MAX, told + ": " + (allocated() - before) + " bytes allocated");
    }

    /**
     * Tampers with everything.
     *
     * @param one of how many bytes to flip, and one of how many lengths to cut to; 1: all
     */
    String run(int one) throws IOException {
        fill();
        try {
            for (Map.Entry<String, byte[]> file : whole.entrySet()) {
                String path = file.getKey();
                byte[] bytes = file.getValue();
                // What is noted is noticed by who needs it.
                boolean isLog = path.startsWith(PLACE + "/log/")
                        || path.startsWith(PLACE + "/pins/")
                        || path.startsWith(PLACE + "/intents/");
                boolean object = path.endsWith("/head")
                        || path.endsWith("/lease")
                        || path.startsWith(PLACE + "/images/")
                        || path.startsWith(PLACE + "/snapshots/");
                for (int i = random.nextInt(one); i < bytes.length; i += one) {
                    byte[] flipped = bytes.clone();
                    flipped[i] ^= (byte) (1 << random.nextInt(8));
                    disk.tamper(path, flipped);
                    examine(path, "byte " + i, false, !isLog);
                }
                for (int length = random.nextInt(one); length < bytes.length; length += one) {
                    disk.tamper(path, Arrays.copyOf(bytes, length));
                    examine(path, "cut to " + length, false, !isLog);
                }
                garble(path, bytes, one);
                for (int more : new int[] {1, 64, 4096, 5 << 20}) {
                    disk.tamper(path, Arrays.copyOf(bytes, bytes.length + more));
                    examine(path, "with " + more + " zeros", false, !isLog);
                    disk.tamper(path, TestVaults.noise(more, bytes.length + more));
                    examine(path, "as noise", false, !isLog);
                }
                disk.tamper(path, null);
                examine(path, "taken away", object, false);
                for (Map.Entry<String, List<byte[]>> other : versions.entrySet()) {
                    boolean sameKind = kind(other.getKey()).equals(kind(path));
                    if (!sameKind && random.nextInt(one) != 0) {
                        continue;
                    }
                    for (byte[] version : other.getValue()) {
                        if (!Arrays.equals(version, bytes)) {
                            disk.tamper(path, version);
                            // An older lease or name, whole and in its place, is as good as any: heads count.
                            boolean older = other.getKey().equals(path);
                            examine(path, "replaced by " + other.getKey(), false, !older && !isLog);
                        }
                    }
                }
            }
            return whole.size() + " files, " + noticed + " changes noticed, " + harmless + " harmless";
        } finally {
            key.close();
        }
    }

    /** The full form: every byte and every length. */
    public static void main(String[] arguments) throws IOException {
        long seed = arguments.length > 0 ? Long.parseLong(arguments[0]) : System.nanoTime();
        int one = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 1;
        System.out.println("tampering, seed " + seed + ": " + new Tampering(seed, 1).run(one));
    }
}
