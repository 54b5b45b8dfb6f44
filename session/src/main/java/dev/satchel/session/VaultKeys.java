package dev.satchel.session;

import static java.nio.charset.StandardCharsets.US_ASCII;

import dev.satchel.display.web.SecurityKeyPage;
import dev.satchel.linux.Keyring;
import dev.satchel.vault.Backend;
import dev.satchel.vault.DirectoryBackend;
import dev.satchel.vault.KdfCost;
import dev.satchel.vault.KeyKind;
import dev.satchel.vault.KeySlotId;
import dev.satchel.vault.KeySlotInfo;
import dev.satchel.vault.KeySlots;
import dev.satchel.vault.RecoveryKey;
import dev.satchel.vault.SecurityKeyCredential;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VaultId;
import dev.satchel.vault.VaultKey;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * What opens one vault, seen from one host: {@code vault unlock}, {@code vault lock}, {@code vault passwd} and {@code vault keys}. A method is a
 * command. What adds or removes keys needs the vault's key, as it was left by {@code vault unlock} or is asked for. Not thread-safe.
 */
public final class VaultKeys {
    private static final long SECURITY_KEY_MILLIS_MAX = 5 * 60_000;

    private final Host host;
    private final Path vaultPath;
    private final PassphraseSource passphrase;

    VaultKeys(Host host, Path vaultPath, PassphraseSource passphrase) {
        this.host = host;
        this.vaultPath = vaultPath;
        this.passphrase = passphrase;
    }

    /** Shows somebody the link at which a browser on this computer has a security key answer. */
    @FunctionalInterface
    public interface LinkListener {
        /** It holds a secret, and is good until the method that told it returns. */
        void open(String link) throws IOException;
    }

    /**
     * A recovery key that has just been added.
     *
     * @param words to be shown once: nobody can have them a second time
     */
    public record Recovery(KeySlotInfo key, String words) {}

    // ---- opening

    /** The key that {@code vault unlock} left, else by the passphrase; the caller closes it. */
    VaultKey key(Backend backend) throws IOException {
        Optional<Keyring.Key> kept = Keyring.find(keyName(Vault.identify(backend)));
        if (kept.isPresent()) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment secret = arena.allocate(VaultKey.BYTES);
                try {
                    if (Keyring.read(kept.get(), secret) == VaultKey.BYTES) {
                        return VaultKey.fromBytes(secret);
                    }
                } finally {
                    secret.fill((byte) 0);
                }
            }
        }
        return byPassphrase(backend).key();
    }

    /** Whether {@code vault unlock} left the key of that vault. */
    boolean isKept(VaultId vault) throws IOException {
        return Keyring.find(keyName(vault)).isPresent();
    }

    /** What the kernel's keyring calls the key that is kept for this host. */
    String keyName(VaultId vault) {
        return "satchel:" + host.id() + ":" + vault;
    }

    private KeySlots.Opened byPassphrase(Backend backend) throws IOException {
        KeySlots slots = KeySlots.of(backend); // no such vault: said before a passphrase is asked for
        VaultId vault = Vault.identify(backend);
        byte[] secret = passphrase.passphrase();
        try {
            Optional<KeySlotId> likely = likely(vault);
            KeySlots.Opened opened = slots.open(secret, passphrase.key(), likely);
            if (!likely.equals(Optional.of(opened.slot()))) {
                remember(vault, opened.slot());
            }
            return opened;
        } finally {
            Arrays.fill(secret, (byte) 0);
        }
    }

    /** Which slot opened the vault here the last time: it is tried first, so that others cost no time. */
    private Path likelyFile(VaultId vault) {
        return host.state().resolve("seen").resolve("keys").resolve(vault.toString());
    }

    private Optional<KeySlotId> likely(VaultId vault) throws IOException {
        try {
            return Optional.of(KeySlotId.parse(Files.readString(likelyFile(vault), US_ASCII)));
        } catch (NoSuchFileException | IllegalArgumentException e) {
            return Optional.empty(); // not yet, or torn by a crash: all are tried
        }
    }

    private void remember(VaultId vault, KeySlotId slot) throws IOException {
        Path file = likelyFile(vault);
        Files.createDirectories(file.getParent());
        Files.writeString(file, slot.toString(), US_ASCII);
    }

    /** {@code vault unlock}: keeps the key in the kernel's keyring, for this host only. */
    public void unlock(Duration keep) throws IOException {
        try (Backend backend = new DirectoryBackend(vaultPath);
                VaultKey key = byPassphrase(backend).key()) {
            keep(backend, key, keep);
        }
    }

    /** {@code vault unlock --security-key}: the same, by the answer of a security key. */
    public void unlockBySecurityKey(Duration keep, LinkListener links) throws IOException {
        try (Backend backend = new DirectoryBackend(vaultPath)) {
            KeySlots slots = KeySlots.of(backend);
            SecurityKeyPage.Answer answer;
            try (SecurityKeyPage page = SecurityKeyPage.ask(credentials(slots.securityKeys(passphrase.key())))) {
                answer = await(page, links);
            }
            try (VaultKey key = slots.open(answer.credential(), answer.output()).key()) {
                keep(backend, key, keep);
            } finally {
                Arrays.fill(answer.output(), (byte) 0);
            }
        }
    }

    private void keep(Backend backend, VaultKey key, Duration keep) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment secret = arena.allocate(VaultKey.BYTES);
            key.export(secret);
            try {
                Keyring.put(keyName(Vault.identify(backend)), secret, Math.toIntExact(keep.toSeconds()));
            } finally {
                secret.fill((byte) 0);
            }
        }
    }

    /** {@code vault lock}; does nothing when it was not unlocked. */
    public void lock() throws IOException {
        try (Backend backend = new DirectoryBackend(vaultPath)) {
            Optional<Keyring.Key> key = Keyring.find(keyName(Vault.identify(backend)));
            if (key.isPresent()) {
                Keyring.forget(key.get());
            }
        }
    }

    // ---- listing, adding, removing

    /** {@code vault keys ls}: the oldest first. */
    public List<KeySlotInfo> list() throws IOException {
        try (Backend backend = new DirectoryBackend(vaultPath);
                VaultKey key = key(backend)) {
            return KeySlots.of(backend).list(key);
        }
    }

    /**
     * {@code vault keys add}: another passphrase.
     *
     * @param next asked when the vault is open
     */
    public KeySlotInfo addPassphrase(PassphraseSource next, String label) throws IOException {
        requireLabel(label);
        try (Backend backend = new DirectoryBackend(vaultPath);
                VaultKey key = key(backend)) {
            byte[] secret = next.passphrase();
            try {
                return KeySlots.of(backend).addPassphrase(key, secret, KdfCost.measured(), label);
            } finally {
                Arrays.fill(secret, (byte) 0);
            }
        }
    }

    /** {@code vault keys add --recovery}. */
    public Recovery addRecovery(String label) throws IOException {
        requireLabel(label);
        try (Backend backend = new DirectoryBackend(vaultPath);
                VaultKey key = key(backend);
                RecoveryKey recovery = RecoveryKey.random()) {
            String words = recovery.words();
            return new Recovery(KeySlots.of(backend).addRecovery(key, recovery, label), words);
        }
    }

    /** {@code vault keys add --security-key}. */
    public KeySlotInfo addSecurityKey(String label, LinkListener links) throws IOException {
        requireLabel(label);
        try (Backend backend = new DirectoryBackend(vaultPath);
                VaultKey key = key(backend)) {
            KeySlots slots = KeySlots.of(backend);
            byte[] salt = randomSalt();
            SecurityKeyPage.Answer answer;
            try (SecurityKeyPage page = SecurityKeyPage.enrol(
                    "vault " + vaultPath.getFileName(), salt, credentials(slots.securityKeys()))) {
                answer = await(page, links);
            }
            try {
                SecurityKeyCredential credential =
                        new SecurityKeyCredential(SecurityKeyPage.RELYING_PARTY, answer.credential(), salt);
                return slots.addSecurityKey(key, credential, answer.output(), label);
            } finally {
                Arrays.fill(answer.output(), (byte) 0);
            }
        }
    }

    private static byte[] randomSalt() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment salt = arena.allocate(SecurityKeyCredential.PRF_BYTES);
            dev.satchel.linux.crypto.SecureRandom.fill(salt);
            return salt.toArray(java.lang.foreign.ValueLayout.JAVA_BYTE);
        }
    }

    private static List<SecurityKeyPage.Credential> credentials(List<SecurityKeyCredential> enrolled) {
        List<SecurityKeyPage.Credential> credentials = new ArrayList<>();
        for (SecurityKeyCredential credential : enrolled) {
            if (credential.relyingParty().equals(SecurityKeyPage.RELYING_PARTY)) {
                credentials.add(new SecurityKeyPage.Credential(credential.credential(), credential.salt()));
            }
        }
        return credentials;
    }

    private static SecurityKeyPage.Answer await(SecurityKeyPage page, LinkListener links) throws IOException {
        links.open(page.link());
        try {
            return page.await(SECURITY_KEY_MILLIS_MAX);
        } catch (SecurityKeyPage.RefusedException e) {
            throw new SatchelException(SatchelException.Kind.FAILED, String.valueOf(e.getMessage()), e);
        }
    }

    private static void requireLabel(String label) throws SatchelException {
        try {
            KeySlots.requireLabel(label);
        } catch (IllegalArgumentException e) {
            throw new SatchelException(SatchelException.Kind.FAILED, e.getMessage() + ": choose another", e);
        }
    }

    /**
     * {@code vault keys rm}.
     *
     * @param named label or id, or the beginning of an id
     */
    public KeySlotInfo remove(String named) throws IOException {
        try (Backend backend = new DirectoryBackend(vaultPath);
                VaultKey key = key(backend)) {
            return KeySlots.of(backend).remove(key, named);
        }
    }

    /**
     * {@code vault passwd}: asks for the present passphrase, also when the vault is unlocked, as it says which slot is to be replaced.
     *
     * @param next asked when the vault is open
     */
    public KeySlotInfo changePassphrase(PassphraseSource next) throws IOException {
        try (Backend backend = new DirectoryBackend(vaultPath)) {
            KeySlots slots = KeySlots.of(backend);
            KeySlots.Opened opened = byPassphrase(backend);
            try (VaultKey key = opened.key()) {
                for (KeySlotInfo info : slots.list(key)) {
                    if (info.id().equals(opened.slot()) && !info.kind().equals(Optional.of(KeyKind.PASSPHRASE))) {
                        throw new SatchelException(
                                SatchelException.Kind.FAILED,
                                "this is a recovery key, which stays as it is: add a passphrase with 'satchel vault keys add', and"
                                        + " remove the one that is forgotten with 'satchel vault keys rm'");
                    }
                }
                byte[] secret = next.passphrase();
                try {
                    KeySlotInfo added = slots.replace(key, opened.slot(), secret, KdfCost.measured());
                    remember(Vault.identify(backend), added.id());
                    return added;
                } finally {
                    Arrays.fill(secret, (byte) 0);
                }
            }
        }
    }
}
