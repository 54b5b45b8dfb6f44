package dev.satchel.vault;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.satchel.linux.crypto.AesGcm;
import dev.satchel.linux.crypto.SecretBytes;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.bouncycastle.crypto.generators.Argon2BytesGenerator;
import org.bouncycastle.crypto.params.Argon2Parameters;

/** Keys of passphrases (RFC 9106). The memory is on the Java heap; it is overwritten at the end. */
final class Argon2id {
    private Argon2id() {}

    /**
     * A key of 32 bytes.
     *
     * @throws DamagedException when this program may not have as much memory as the parameters ask for
     */
    static SecretBytes derive(byte[] passphrase, byte[] salt, KdfParameters kdf) throws DamagedException {
        // A quarter more for the heads of arrays, and what else is alive.
        if (kdf.memoryKib() + kdf.memoryKib() / 4 > Runtime.getRuntime().maxMemory() >> 10) {
            throw new DamagedException(
                    "a key slot asks for " + (kdf.memoryKib() >> 10)
                            + " MiB of memory, more than this program may have, which no version of it writes: remove the slot");
        }
        byte[] derived = new byte[AesGcm.KEY_BYTES];
        Argon2Parameters parameters = new Argon2Parameters.Builder(Argon2Parameters.ARGON2_id)
                .withVersion(Argon2Parameters.ARGON2_VERSION_13)
                .withMemoryAsKB(kdf.memoryKib())
                .withIterations(kdf.passes())
                .withParallelism(kdf.lanes())
                .withSalt(salt)
                .build();
        Argon2BytesGenerator generator = new Argon2BytesGenerator();
        generator.init(parameters);
        generator.generateBytes(passphrase, derived);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment offHeap = arena.allocateFrom(JAVA_BYTE, derived);
            SecretBytes secret = SecretBytes.copyOf(offHeap);
            offHeap.fill((byte) 0);
            return secret;
        } finally {
            Arrays.fill(derived, (byte) 0);
        }
    }
}
