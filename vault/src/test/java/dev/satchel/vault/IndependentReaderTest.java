package dev.satchel.vault;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.satchel.linux.zstd.Zstd;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.Signature;
import java.security.spec.EdECPoint;
import java.security.spec.EdECPublicKeySpec;
import java.security.spec.NamedParameterSpec;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import javax.crypto.Cipher;
import javax.crypto.Mac;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;
import org.bouncycastle.crypto.generators.Argon2BytesGenerator;
import org.bouncycastle.crypto.params.Argon2Parameters;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Reads a vault by docs/FORMAT.md alone: with the JDK's cryptography, and nothing of what is tested but zstd. */
class IndependentReaderTest {
    private static final HexFormat HEX = HexFormat.of();

    @TempDir
    Path directory;

    private byte[] vaultKey;
    private byte[] vaultId;
    private byte[] publicKey;
    private final Map<String, byte[]> chunks = new HashMap<>();

    private static byte[] join(byte[]... parts) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (byte[] part : parts) {
            out.writeBytes(part);
        }
        return out.toByteArray();
    }

    private static byte[] u32(int value) {
        return ByteBuffer.allocate(4).putInt(value).array();
    }

    private static byte[] slice(byte[] bytes, int from, int to) {
        return Arrays.copyOfRange(bytes, from, to);
    }

    private static byte[] hmac(byte[] key, byte[] message) throws GeneralSecurityException {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        return mac.doFinal(message);
    }

    private static byte[] expand(byte[] key, byte[] info) throws GeneralSecurityException {
        return hmac(key, join(info, new byte[] {1}));
    }

    private static byte[] expand(byte[] key, String info) throws GeneralSecurityException {
        return expand(key, info.getBytes(US_ASCII));
    }

    private static byte[] open(byte[] key, byte[] nonce, byte[] associated, byte[] sealed)
            throws GeneralSecurityException {
        Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
        cipher.init(Cipher.DECRYPT_MODE, new SecretKeySpec(key, "AES"), new GCMParameterSpec(128, nonce));
        cipher.updateAAD(associated);
        return cipher.doFinal(sealed);
    }

    private void verify(byte[] message, byte[] signature) throws GeneralSecurityException {
        byte[] y = new byte[32];
        for (int i = 0; i < 32; i++) {
            y[i] = publicKey[31 - i];
        }
        boolean odd = (y[0] & 0x80) != 0;
        y[0] &= 0x7f;
        Signature verifier = Signature.getInstance("Ed25519");
        verifier.initVerify(KeyFactory.getInstance("Ed25519")
                .generatePublic(
                        new EdECPublicKeySpec(NamedParameterSpec.ED25519, new EdECPoint(odd, new BigInteger(1, y)))));
        verifier.update(message);
        assertThat(verifier.verify(signature)).isTrue();
    }

    private void readKeys() throws IOException, GeneralSecurityException {
        byte[] config = Files.readAllBytes(directory.resolve("vault"));
        assertThat(config).hasSize(124).startsWith("SATVAULT".getBytes(US_ASCII));
        assertThat(ByteBuffer.wrap(config).getInt(8)).isEqualTo(1);
        vaultId = slice(config, 12, 28);
        publicKey = slice(config, 28, 60);
        verify(slice(config, 0, 60), slice(config, 60, 124));
        byte[] slot;
        try (var slots = Files.list(directory.resolve("keys"))) {
            slot = Files.readAllBytes(slots.findFirst().orElseThrow());
        }
        assertThat(slot).hasSize(373).startsWith("SATSLOT2".getBytes(US_ASCII));
        verify(slice(slot, 0, 309), slice(slot, 309, 373));
        ByteBuffer numbers = ByteBuffer.wrap(slot);
        assertThat(numbers.getInt(8)).isEqualTo(1);
        Argon2BytesGenerator argon2 = new Argon2BytesGenerator();
        argon2.init(new Argon2Parameters.Builder(Argon2Parameters.ARGON2_id)
                .withVersion(0x13)
                .withMemoryAsKB(numbers.getInt(12))
                .withIterations(numbers.getInt(16))
                .withParallelism(numbers.getInt(20))
                .withSalt(slice(slot, 24, 56))
                .build());
        byte[] wrap = new byte[32];
        argon2.generateBytes(TestVaults.PASSPHRASE, wrap);
        assertThat(slice(slot, 56, 72)).isEqualTo(vaultId);
        assertThat(numbers.getInt(89)).isZero();
        vaultKey = open(wrap, slice(slot, 93, 105), slice(slot, 0, 93), slice(slot, 105, 153));
        ByteBuffer description = ByteBuffer.wrap(open(
                expand(vaultKey, "satchel vault v1 slots"),
                slice(slot, 153, 165),
                slice(slot, 0, 153),
                slice(slot, 165, 309)));
        assertThat(description.getInt()).as("length of an empty label").isZero();
        assertThat(System.currentTimeMillis() - description.getLong()).isBetween(0L, 600_000L);
    }

    private ByteBuffer object(String name, int kind) throws IOException, GeneralSecurityException {
        byte[] file = Files.readAllBytes(directory.resolve(name));
        int signed = file.length - 64;
        byte[] boundName = kind == 4 ? new byte[0] : name.getBytes(US_ASCII);
        byte[] bound = join("satchel object v1\0".getBytes(US_ASCII), vaultId, u32(boundName.length), boundName);
        verify(join(bound, slice(file, 0, signed)), slice(file, signed, file.length));
        assertThat(file).startsWith("SATOBJ1".getBytes(US_ASCII));
        assertThat(file[7]).isEqualTo((byte) kind);
        if (kind == 4) {
            assertThat(name)
                    .isEqualTo("snapshots/"
                            + HEX.formatHex(MessageDigest.getInstance("SHA-256").digest(slice(file, 0, signed))));
        }
        byte[] header = slice(file, 0, 40);
        byte[] key = expand(expand(vaultKey, "satchel vault v1 objects"), header);
        return ByteBuffer.wrap(open(key, new byte[12], join(bound, header), slice(file, 40, signed)));
    }

    private static byte[] take(ByteBuffer in, int count) {
        byte[] bytes = new byte[count];
        in.get(bytes);
        return bytes;
    }

    private static byte[] bytes(ByteBuffer in) {
        return take(in, in.getInt());
    }

    private static String text(ByteBuffer in) {
        return new String(bytes(in), UTF_8);
    }

    /** Opens all packs of a domain and checks that its indexes say the same. */
    private void readDomain(byte[] secret) throws IOException, GeneralSecurityException {
        byte[] domain = slice(expand(secret, "satchel domain v1 domain id"), 0, 16);
        Path home = directory.resolve("domains/" + HEX.formatHex(domain));
        Map<String, byte[]> sections = new HashMap<>();
        List<Path> packs;
        try (var files = Files.list(home.resolve("packs"))) {
            packs = files.toList();
        }
        for (Path file : packs) {
            byte[] pack = Files.readAllBytes(file);
            byte[] packId = slice(pack, 24, 40);
            assertThat(pack).startsWith(join("SATPACK1".getBytes(US_ASCII), domain));
            assertThat(file.getFileName().toString()).isEqualTo(HEX.formatHex(packId));
            byte[] key = open(
                    expand(secret, "satchel domain v1 pack wrap"),
                    slice(pack, 40, 52),
                    slice(pack, 0, 40),
                    slice(pack, 52, 100));
            assertThat(slice(pack, pack.length - 8, pack.length)).isEqualTo("SATPEND1".getBytes(US_ASCII));
            int length = ByteBuffer.wrap(pack).getInt(pack.length - 12);
            int at = pack.length - 12 - length;
            byte[] entries = open(
                    key,
                    ByteBuffer.allocate(12).putLong(4, at).array(),
                    join("SATPEND1".getBytes(US_ASCII), packId),
                    slice(pack, at, at + length));
            sections.put(HEX.formatHex(packId), join(slice(pack, 40, 100), u32(entries.length / 44), entries));
            ByteBuffer in = ByteBuffer.wrap(entries);
            while (in.hasRemaining()) {
                byte[] id = take(in, 32);
                int offset = in.getInt();
                int stored = in.getInt();
                int codecAndLength = in.getInt();
                byte[] body = open(
                        key,
                        ByteBuffer.allocate(12).putLong(4, offset).array(),
                        join(id, u32(codecAndLength)),
                        slice(pack, offset, offset + stored));
                byte[] plaintext = codecAndLength >>> 24 == 0 ? body : decompress(body, codecAndLength & 0xffffff);
                assertThat(plaintext).hasSize(codecAndLength & 0xffffff);
                assertThat(hmac(expand(secret, "satchel domain v1 chunk id"), plaintext))
                        .isEqualTo(id);
                chunks.put(HEX.formatHex(domain) + HEX.formatHex(id), plaintext);
            }
        }
        if (Files.exists(home.resolve("index"))) {
            try (var files = Files.list(home.resolve("index"))) {
                for (Path file : files.toList()) {
                    byte[] index = Files.readAllBytes(file);
                    byte[] header = slice(index, 0, 56);
                    assertThat(header).startsWith(join("SATINDX1".getBytes(US_ASCII), domain));
                    ByteBuffer in = ByteBuffer.wrap(open(
                            expand(expand(secret, "satchel domain v1 index"), header),
                            new byte[12],
                            header,
                            slice(index, 56, index.length)));
                    while (in.hasRemaining()) {
                        String packId = HEX.formatHex(take(in, 16));
                        byte[] wrapped = take(in, 60);
                        int count = in.getInt();
                        assertThat(join(wrapped, u32(count), take(in, count * 44)))
                                .isEqualTo(sections.get(packId));
                    }
                }
            }
        }
    }

    private static byte[] decompress(byte[] frame, int length) {
        try (Arena arena = Arena.ofConfined();
                Zstd zstd = new Zstd()) {
            MemorySegment target = arena.allocate(length);
            assertThat(zstd.decompress(arena.allocateFrom(ValueLayout.JAVA_BYTE, frame), target))
                    .isEqualTo(length);
            return target.toArray(ValueLayout.JAVA_BYTE);
        }
    }

    private void readMap(ByteBuffer in, Map<Long, byte[]> slots) {
        long count = in.getLong();
        in.getLong();
        if (in.get() == 1) {
            String root = HEX.formatHex(take(in, 48));
            assertThat(chunks.get(root)).hasSize(in.getInt());
            int level = 0;
            while (count > 1L << (10 * (level + 1))) {
                level++;
            }
            readNode(root, level, 0, slots);
        }
    }

    private void readNode(String name, int level, long base, Map<Long, byte[]> slots) {
        ByteBuffer in = ByteBuffer.wrap(chunks.get(name));
        assertThat(in.get()).isEqualTo((byte) 1);
        assertThat(in.get()).isEqualTo((byte) level);
        byte[][] domains = new byte[in.getShort()][];
        for (int i = 0; i < domains.length; i++) {
            domains[i] = take(in, 16);
        }
        byte[] used = take(in, 128);
        for (int i = 0; i < 1024; i++) {
            if ((used[i / 8] >> (i % 8) & 1) == 1) {
                byte[] id = take(in, 32);
                int domainAndLength = in.getInt();
                String chunk = HEX.formatHex(domains[domainAndLength >>> 24]) + HEX.formatHex(id);
                long slot = base + ((long) i << (10 * level));
                if (level > 0) {
                    readNode(chunk, level - 1, slot, slots);
                } else {
                    assertThat(chunks.get(chunk)).hasSize(domainAndLength & 0xffffff);
                    slots.put(slot, chunks.get(chunk));
                }
            }
        }
        assertThat(in.hasRemaining()).isFalse();
    }

    @Test
    void theDocumentIsEnoughToReadAVault() throws Exception {
        SessionId session = SessionId.random();
        HostId host = HostId.random();
        ImageId image = ImageId.random();
        Map<Long, byte[]> expected = new HashMap<>();
        KeyDomainId imageDomain;
        try (Vault vault = TestVaults.create(directory);
                KeyDomain keys = KeyDomain.random();
                Lease lease = vault.acquire(session, host, "here", false)) {
            imageDomain = keys.id();
            ChunkMapRef base;
            try (ChunkWriter writer = vault.chunks().writer(keys)) {
                ChunkMap.Editor editor =
                        ChunkMap.load(vault.chunks(), ChunkMapRef.EMPTY).edit();
                for (long slot : new long[] {0, 5, 1023, 1024, 5000}) {
                    expected.put(slot, TestVaults.text((int) slot, 70_000));
                    editor.set(slot, TestVaults.put(writer, expected.get(slot)));
                }
                base = editor.store(writer);
                writer.commit();
            }
            vault.putImage(new ImageManifest(
                    image, "desktop", java.time.Instant.ofEpochMilli(99), keys, base, 1234, 5678, new byte[] {9}));
            for (int i = 0; i < 20; i++) {
                TestVaults.map(vault, List.of(TestVaults.noise(i, 300)));
            }
            ChunkMapRef volume;
            try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
                ChunkMap.Editor editor = ChunkMap.load(vault.chunks(), base).edit();
                expected.put(6L, TestVaults.noise(6, 90_000));
                editor.set(6, TestVaults.put(writer, expected.get(6L)));
                volume = editor.store(writer);
                writer.commit();
            }
            SnapshotId snapshot = vault.put(TestVaults.draft(session, Optional.empty(), volume));
            vault.putHead(Head.first(session, "wörk", Optional.of(snapshot), "{}".getBytes(UTF_8)), lease);
        }

        readKeys();
        byte[] ownSecret = expand(vaultKey, "satchel vault v1 chunks");
        readDomain(ownSecret);
        byte[] imageSecret = object("domains/" + imageDomain + "/key", 6).array();
        readDomain(imageSecret);
        byte[] nameKey = expand(vaultKey, "satchel vault v1 names");
        byte[] name = "wörk".getBytes(UTF_8);
        String nameFile = HEX.formatHex(hmac(nameKey, join(new byte[] {1}, u32(name.length), name)));
        String sessionHex = HEX.formatHex(take(object("names/" + nameFile, 3), 16));
        assertThat(sessionHex).isEqualTo(session.toString());
        ByteBuffer lease = object("sessions/" + sessionHex + "/lease", 2);
        assertThat(lease.getLong()).isEqualTo(1);
        assertThat(lease.get()).isZero();
        assertThat(HEX.formatHex(take(lease, 16))).isEqualTo(host.toString());
        assertThat(text(lease)).isEqualTo("here");
        ByteBuffer head = object("sessions/" + sessionHex + "/head", 1);
        assertThat(head.getLong()).isEqualTo(1);
        assertThat(head.getLong()).isEqualTo(1);
        assertThat(text(head)).isEqualTo("wörk");
        assertThat(head.get()).isEqualTo((byte) 1);
        ByteBuffer snapshot = object("snapshots/" + HEX.formatHex(take(head, 32)), 4);
        assertThat(text(head)).isEqualTo("{}");
        assertThat(HEX.formatHex(take(snapshot, 16))).isEqualTo(sessionHex);
        assertThat(snapshot.get()).isZero();
        assertThat(snapshot.getLong()).isEqualTo(1_700_000_000_000L);
        assertThat(text(snapshot)).isEqualTo("suspend");
        assertThat(snapshot.getInt()).isEqualTo(1);
        assertThat(text(snapshot)).isEqualTo("volume");
        Map<Long, byte[]> slots = new HashMap<>();
        readMap(snapshot, slots);
        assertThat(slots.keySet()).isEqualTo(expected.keySet());
        slots.forEach((slot, content) -> assertThat(content).isEqualTo(expected.get(slot)));
        assertThat(text(snapshot)).isEqualTo("{\"pids\":3}");
        assertThat(snapshot.getLong()).isEqualTo(10);
        assertThat(snapshot.getLong()).isEqualTo(20);
        assertThat(snapshot.hasRemaining()).isFalse();
        ByteBuffer manifest = object("images/" + image, 5);
        assertThat(HEX.formatHex(take(manifest, 16))).isEqualTo(image.toString());
        assertThat(text(manifest)).isEqualTo("desktop");
        assertThat(manifest.getLong()).isEqualTo(99);
        assertThat(HEX.formatHex(take(manifest, 16))).isEqualTo(imageDomain.toString());
        Map<Long, byte[]> baseSlots = new HashMap<>();
        readMap(manifest, baseSlots);
        assertThat(baseSlots).hasSize(5);
        assertThat(manifest.getLong()).isEqualTo(1234);
        assertThat(manifest.getLong()).isEqualTo(5678);
        assertThat(bytes(manifest)).containsExactly(9);
    }
}
