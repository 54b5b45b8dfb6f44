package dev.satchel.linux.crypto;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HexFormat;
import java.util.Random;
import javax.crypto.Cipher;
import javax.crypto.Mac;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;
import org.junit.jupiter.api.Test;

class CryptoTest {
    private final Arena arena = Arena.ofAuto();

    private MemorySegment hex(String digits) {
        return bytes(HexFormat.of().parseHex(digits));
    }

    private MemorySegment bytes(byte[] bytes) {
        return arena.allocateFrom(JAVA_BYTE, bytes);
    }

    private static byte[] array(MemorySegment segment) {
        return segment.toArray(JAVA_BYTE);
    }

    private static String hex(MemorySegment segment) {
        return HexFormat.of().formatHex(array(segment));
    }

    @Test
    void aesGcmAgreesWithTheJdkAtEveryLengthInPlaceAndNot() throws Exception {
        Random random = new Random(1);
        try (AesGcm gcm = new AesGcm()) {
            for (int length : new int[] {0, 1, 15, 16, 17, 1000, 4096, 262_144}) {
                byte[] key = new byte[32];
                byte[] nonce = new byte[12];
                byte[] associated = new byte[length % 40];
                byte[] plaintext = new byte[length];
                random.nextBytes(key);
                random.nextBytes(nonce);
                random.nextBytes(associated);
                random.nextBytes(plaintext);
                Cipher jdk = Cipher.getInstance("AES/GCM/NoPadding");
                jdk.init(Cipher.ENCRYPT_MODE, new SecretKeySpec(key, "AES"), new GCMParameterSpec(128, nonce));
                jdk.updateAAD(associated);
                byte[] expected = jdk.doFinal(plaintext);
                MemorySegment sealed = arena.allocate(length + 16);
                gcm.seal(bytes(key), bytes(nonce), bytes(associated), bytes(plaintext), sealed);
                assertThat(array(sealed)).isEqualTo(expected);
                MemorySegment opened = arena.allocate(Math.max(1, length)).asSlice(0, length);
                assertThat(gcm.open(bytes(key), bytes(nonce), bytes(associated), sealed, opened))
                        .isTrue();
                assertThat(array(opened)).isEqualTo(plaintext);
                MemorySegment inPlace = arena.allocate(length + 16);
                inPlace.copyFrom(bytes(plaintext));
                gcm.seal(bytes(key), bytes(nonce), bytes(associated), inPlace.asSlice(0, length), inPlace);
                assertThat(array(inPlace)).isEqualTo(expected);
                assertThat(gcm.open(bytes(key), bytes(nonce), bytes(associated), inPlace, inPlace.asSlice(0, length)))
                        .isTrue();
                assertThat(array(inPlace.asSlice(0, length))).isEqualTo(plaintext);
            }
        }
    }

    @Test
    void aesGcmGivesNothingOfWhatIsNotAuthentic() {
        try (AesGcm gcm = new AesGcm()) {
            MemorySegment key = arena.allocate(32);
            MemorySegment nonce = arena.allocate(12);
            MemorySegment associated = bytes(new byte[] {1, 2});
            MemorySegment sealed = arena.allocate(36);
            gcm.seal(
                    key,
                    nonce,
                    associated,
                    bytes("abcdefghijklmnopqrst".getBytes(java.nio.charset.StandardCharsets.US_ASCII)),
                    sealed);
            MemorySegment opened = arena.allocate(20);
            for (int i = 0; i < 36; i++) {
                sealed.set(JAVA_BYTE, i, (byte) (sealed.get(JAVA_BYTE, i) ^ 4));
                assertThat(gcm.open(key, nonce, associated, sealed, opened)).isFalse();
                assertThat(array(opened)).containsOnly(0);
                sealed.set(JAVA_BYTE, i, (byte) (sealed.get(JAVA_BYTE, i) ^ 4));
            }
            assertThat(gcm.open(key, nonce, bytes(new byte[] {1, 3}), sealed, opened))
                    .isFalse();
            assertThat(gcm.open(key, nonce, associated, sealed, opened)).isTrue();
            assertThatThrownBy(() -> gcm.open(key, nonce, associated, sealed, arena.allocate(21)))
                    .isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> gcm.seal(
                            MemorySegment.ofArray(new byte[32]), nonce, associated, opened, arena.allocate(36)))
                    .isInstanceOf(IllegalArgumentException.class);
        }
    }

    @Test
    void hmacAgreesWithTheJdkAndCanBeUsedAgain() throws Exception {
        byte[] key = HexFormat.of().parseHex("0b".repeat(32));
        Mac jdk = Mac.getInstance("HmacSHA256");
        jdk.init(new SecretKeySpec(key, "HmacSHA256"));
        try (HmacSha256 hmac = new HmacSha256(bytes(key))) {
            for (int length : new int[] {1, 0, 63, 64, 65, 100_000}) {
                byte[] message = new byte[length];
                new Random(length).nextBytes(message);
                MemorySegment code = arena.allocate(32);
                hmac.code(bytes(message), code);
                assertThat(array(code)).isEqualTo(jdk.doFinal(message));
            }
        }
    }

    /** RFC 5869, test case 1: the first 32 bytes of the output. */
    @Test
    void hkdfExpandIsThatOfRfc5869() {
        try (SecretBytes derived = HmacSha256.expand(
                hex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"),
                HexFormat.of().parseHex("f0f1f2f3f4f5f6f7f8f9"))) {
            assertThat(hex(derived.segment()))
                    .isEqualTo("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
        }
    }

    /** RFC 8032 §7.1, test 2. */
    @Test
    void ed25519IsThatOfRfc8032() {
        String publicKey = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        String signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                + "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
        try (Ed25519 signer = Ed25519.fromPrivateKey(
                        hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"));
                Ed25519 verifier = Ed25519.fromPublicKey(hex(publicKey))) {
            MemorySegment key = arena.allocate(32);
            signer.publicKey(key);
            assertThat(hex(key)).isEqualTo(publicKey);
            MemorySegment made = arena.allocate(64);
            signer.sign(hex("72"), made);
            assertThat(hex(made)).isEqualTo(signature);
            assertThat(verifier.verify(hex("72"), made)).isTrue();
            assertThat(verifier.verify(hex("73"), made)).isFalse();
            made.set(JAVA_BYTE, 63, (byte) 1);
            assertThat(verifier.verify(hex("72"), made)).isFalse();
        }
    }

    /** FIPS 180-4, "abc". */
    @Test
    void sha256IsThatOfFips180() {
        MemorySegment hash = arena.allocate(32);
        Sha256.hash(hex("616263"), hash);
        assertThat(hex(hash)).isEqualTo("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    @Test
    void secretsAreCopiesAndAreGoneWhenClosed() {
        MemorySegment source = bytes(new byte[] {1, 2, 3});
        SecretBytes secret = SecretBytes.copyOf(source);
        source.fill((byte) 0);
        assertThat(array(secret.segment())).containsExactly(1, 2, 3);
        MemorySegment kept = secret.segment();
        // Keeps the block from being handed out again, and its first bytes from the free list.
        SecretBytes larger = SecretBytes.random(4096);
        assertThat(array(larger.segment())).isNotEqualTo(new byte[4096]);
        secret.close();
        secret.close();
        assertThat(kept.get(JAVA_BYTE, 2)).isNotEqualTo((byte) 3);
        assertThatThrownBy(secret::segment).isInstanceOf(IllegalStateException.class);
        larger.close();
        // More than the locked heap holds.
        SecretBytes[] many = new SecretBytes[200];
        for (int i = 0; i < many.length; i++) {
            many[i] = SecretBytes.allocate(4096);
            assertThat(many[i].segment().get(JAVA_BYTE, 4095)).isZero();
        }
        for (SecretBytes each : many) {
            each.close();
        }
    }
}
