package dev.satchel.vault;

import static java.nio.charset.StandardCharsets.US_ASCII;

import dev.satchel.linux.crypto.Ed25519;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.util.Arrays;
import javax.crypto.Cipher;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;
import org.bouncycastle.crypto.generators.Argon2BytesGenerator;
import org.bouncycastle.crypto.params.Argon2Parameters;

/** Key slots as the first version wrote them, written anew from docs/FORMAT.md: vaults that have them must open for ever. */
final class FirstVersionSlot {
    private FirstVersionSlot() {}

    static byte[] write(VaultId vault, VaultKey key, byte[] passphrase, KdfParameters kdf) throws Exception {
        byte[] slot = new byte[196];
        ByteBuffer out = ByteBuffer.wrap(slot);
        byte[] salt = RandomBytes.of(32);
        out.put("SATSLOT1".getBytes(US_ASCII))
                .putInt(1)
                .putInt(kdf.memoryKib())
                .putInt(kdf.passes())
                .putInt(kdf.lanes())
                .put(salt)
                .putLong(vault.high())
                .putLong(vault.low());
        byte[] nonce = RandomBytes.of(12);
        out.put(nonce);
        Argon2BytesGenerator argon2 = new Argon2BytesGenerator();
        argon2.init(new Argon2Parameters.Builder(Argon2Parameters.ARGON2_id)
                .withVersion(0x13)
                .withMemoryAsKB(kdf.memoryKib())
                .withIterations(kdf.passes())
                .withParallelism(kdf.lanes())
                .withSalt(salt)
                .build());
        byte[] wrap = new byte[32];
        argon2.generateBytes(passphrase, wrap);
        Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
        cipher.init(Cipher.ENCRYPT_MODE, new SecretKeySpec(wrap, "AES"), new GCMParameterSpec(128, nonce));
        cipher.updateAAD(slot, 0, 72);
        out.put(cipher.doFinal(Bytes.copy(key.secret().segment())));
        return sign(key, Arrays.copyOf(slot, 132));
    }

    /** Those bytes and the vault's signature of them. */
    static byte[] sign(VaultKey key, byte[] bytes) {
        try (Ed25519 signer = Vault.signer(key);
                Arena arena = Arena.ofConfined()) {
            var signed = arena.allocate(bytes.length + 64);
            signed.copyFrom(TestVaults.segment(arena, bytes));
            signer.sign(signed.asSlice(0, bytes.length), signed.asSlice(bytes.length));
            return Bytes.copy(signed);
        }
    }
}
