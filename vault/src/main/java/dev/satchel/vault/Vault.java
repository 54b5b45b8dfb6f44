package dev.satchel.vault;

import dev.satchel.linux.crypto.SecretBytes;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/**
 * An open vault. Thread-safe; any number of processes and hosts may have the same vault open. Everything it returns has
 * been authenticated; everything it stores is durable on return.
 */
public final class Vault implements AutoCloseable {
    private Vault() {}

    /**
     * Makes a vault with a random key, wrapped under {@code passphrase}.
     *
     * @param passphrase UTF-8; the caller overwrites it
     * @throws ExistsException when there is one already
     */
    public static void init(Backend backend, byte[] passphrase, KdfParameters kdf) throws IOException {
        Unfinished.here();
    }

    /**
     * Gets the vault's key out of the slot that {@code passphrase} opens; takes as long as the slot's
     * {@link KdfParameters} say.
     *
     * @param passphrase UTF-8; the caller overwrites it
     * @throws NoSuchException when there is no vault
     * @throws WrongPassphraseException when no slot opens
     */
    public static VaultKey unlock(Backend backend, byte[] passphrase) throws IOException {
        return Unfinished.here();
    }

    /**
     * Opens a vault; quick. Copies the key; takes over the backend, which {@link #close} closes (also when this throws).
     *
     * @throws NoSuchException when there is no vault
     * @throws WrongPassphraseException when the key is another vault's
     */
    public static Vault open(Backend backend, VaultKey key, HeadWitness witness) throws IOException {
        return Unfinished.here();
    }

    /** Which vault. Also readable without the key: {@link #identify}. */
    public VaultId id() {
        return Unfinished.here();
    }

    /**
     * Which vault is in a place, without any key (and so without proof): to look its key up in a keyring.
     *
     * @throws NoSuchException when there is no vault
     */
    public static VaultId identify(Backend backend) throws IOException {
        return Unfinished.here();
    }

    /** Its chunks. */
    public ChunkStore chunks() {
        return Unfinished.here();
    }

    /** Where it is, e.g. for {@link Backend#openLog}; not to be closed. Names beginning {@code log/} are the upper parts'. */
    public Backend backend() {
        return Unfinished.here();
    }

    /**
     * A 32-byte key for an upper part's own use: HKDF of the vault's key, different for each pair of arguments.
     *
     * @param purpose a constant of the caller, 1 to 100 ASCII characters
     * @param context what it is for, e.g. a random log id; up to 64 bytes
     */
    public SecretBytes deriveKey(String purpose, byte[] context) {
        return Unfinished.here();
    }

    /** All sessions' heads, by name. */
    public List<Head> heads() throws IOException {
        return Unfinished.here();
    }

    /**
     * A session's head.
     *
     * @throws ForgedException when it is older than one this host has seen
     */
    public Optional<Head> head(SessionId session) throws IOException {
        return Unfinished.here();
    }

    /** The head of the session of that name. */
    public Optional<Head> head(String name) throws IOException {
        return Unfinished.here();
    }

    /**
     * Replaces a session's head, or stores its first. Its generation must be one more than the present one's, or 1.
     *
     * @param lease of that session
     * @throws InUseException when the lease was taken over; nothing has changed then
     * @throws ExistsException when another session has the name
     * @throws IllegalStateException when the generation does not follow: the caller's head is stale
     */
    public void putHead(Head next, Lease lease) throws IOException {
        Unfinished.here();
    }

    /** Removes a session: its head, then its snapshots, then its logs. Chunks stay until they are collected. */
    public void delete(SessionId session, Lease lease) throws IOException {
        Unfinished.here();
    }

    /**
     * A snapshot; its signature has been verified before anything in it was looked at.
     *
     * @throws NoSuchException when there is none of that id
     */
    public Snapshot snapshot(SnapshotId id) throws IOException {
        return Unfinished.here();
    }

    /** Stores a snapshot. What its trees name must have been committed before. */
    public SnapshotId put(SnapshotDraft draft) throws IOException {
        return Unfinished.here();
    }

    /** A session's snapshots and, of a fork, those it descends from; newest first. */
    public List<Snapshot> history(SessionId session) throws IOException {
        return Unfinished.here();
    }

    /** Removes a snapshot; does nothing when there is none. The caller sees to it that no head names it. */
    public void delete(SnapshotId id) throws IOException {
        Unfinished.here();
    }

    /** All images, by name. Each manifest's {@code keys} belong to the vault: not to be closed. */
    public List<ImageManifest> images() throws IOException {
        return Unfinished.here();
    }

    /** The image of that name. */
    public Optional<ImageManifest> image(String name) throws IOException {
        return Unfinished.here();
    }

    /** Stores an image; one of the same name is replaced. What its volume names must have been committed before. */
    public void putImage(ImageManifest image) throws IOException {
        Unfinished.here();
    }

    /** Removes an image's name; sessions made from it keep its chunks and keys. Does nothing when there is none. */
    public void deleteImage(ImageId image) throws IOException {
        Unfinished.here();
    }

    /**
     * Takes the right to change a session, which need not exist yet.
     *
     * @param takeOver takes it also from another holder, whose writes fail from then on; the head's generation then goes
     *     up by one, so read the head afterwards
     * @throws InUseException when somebody has it, also when it is this host (compare
     *     {@link InUseException#holder}), and {@code takeOver} is false
     */
    public Lease acquire(SessionId session, HostId host, String hostName, boolean takeOver) throws IOException {
        return Unfinished.here();
    }

    /** Who holds a session. */
    public Optional<LeaseHolder> holder(SessionId session) throws IOException {
        return Unfinished.here();
    }

    /** Size and contents. */
    public VaultInfo info() throws IOException {
        return Unfinished.here();
    }

    /** Reads every byte of the vault and checks it against keys, hashes and signatures. */
    public VerifyReport verify(ProgressListener listener) throws IOException {
        return Unfinished.here();
    }

    /** Overwrites the keys and closes the backend. */
    @Override
    public void close() throws IOException {
        Unfinished.here();
    }
}
