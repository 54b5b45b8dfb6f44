package dev.satchel.display.rfb;

import dev.satchel.linux.crypto.Secrets;
import dev.satchel.linux.crypto.SecureRandom;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import javax.crypto.Cipher;
import javax.crypto.spec.SecretKeySpec;

/**
 * VNC Authentication (RFC 6143 §7.2.2): a challenge, encrypted with the password. It keeps a password from who can only connect; who can
 * listen may try all of them at home, and what comes then is not encrypted.
 */
final class VncAuthentication {
    static final int CHALLENGE_BYTES = 16;
    static final int PASSWORD_LENGTH_MAX = 8;

    private VncAuthentication() {}

    static byte[] challenge() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(CHALLENGE_BYTES);
            SecureRandom.fill(bytes);
            return bytes.toArray(ValueLayout.JAVA_BYTE);
        }
    }

    /** In a time that tells nothing of what is right about the response. */
    static boolean isRight(String password, byte[] challenge, byte[] response) {
        return Secrets.areEqual(response(password, challenge), response);
    }

    /** What a client with this password answers. */
    static byte[] response(String password, byte[] challenge) {
        byte[] key = new byte[PASSWORD_LENGTH_MAX];
        byte[] bytes = password.getBytes(StandardCharsets.ISO_8859_1);
        for (int i = 0; i < key.length && i < bytes.length; i++) {
            // The first implementation took a byte's bits in the other order, and all do since (RFC 6143, erratum
            // 4951).
            key[i] = (byte) (Integer.reverse(bytes[i]) >>> 24);
        }
        try {
            Cipher des = Cipher.getInstance("DES/ECB/NoPadding");
            des.init(Cipher.ENCRYPT_MODE, new SecretKeySpec(key, "DES"));
            return des.doFinal(challenge);
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("Java without DES", e);
        }
    }
}
