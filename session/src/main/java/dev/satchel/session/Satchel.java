package dev.satchel.session;

import dev.satchel.vault.VaultInfo;
import dev.satchel.vault.VerifyReport;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * One vault seen from one host: everything that the commands do. A method is a command; it returns what the command prints and
 * throws {@link SatchelException}, a {@link dev.satchel.vault.VaultException} or another {@link IOException}. The vault is opened,
 * and the passphrase asked for, only when a method needs it. Not thread-safe.
 */
public final class Satchel implements AutoCloseable {
    private final Host host;
    private final Path vaultPath;

    public Satchel(Host host, Path vaultPath, PassphraseSource passphrase, Progress progress) {
        this.host = host;
        this.vaultPath = vaultPath;
    }

    /** {@code doctor}: each thing a session needs of this host, checked by doing it. Needs no vault. */
    public static List<CheckResult> doctor(Host host) throws IOException {
        return unfinished();
    }

    /** {@code vault init}. */
    public void initVault() throws IOException {
        unfinished();
    }

    /** {@code vault unlock}: keeps the key in the kernel's keyring, for this host only. */
    public void unlock(Duration keep) throws IOException {
        unfinished();
    }

    /** {@code vault lock}; does nothing when it was not unlocked. */
    public void lock() throws IOException {
        unfinished();
    }

    public VaultInfo info() throws IOException {
        return unfinished();
    }

    public VerifyReport verify() throws IOException {
        return unfinished();
    }

    /** {@code image build}; {@code recipe} is a recipe's name or a directory's path. */
    public ImageInfo buildImage(String name, String recipe) throws IOException {
        return unfinished();
    }

    /** {@code image import} of a root file system tar, compressed or not. */
    public ImageInfo importImage(String name, Path tar) throws IOException {
        return unfinished();
    }

    public List<ImageInfo> images() throws IOException {
        return unfinished();
    }

    public void removeImage(String name) throws IOException {
        unfinished();
    }

    public SessionInfo create(CreateRequest request) throws IOException {
        return unfinished();
    }

    /**
     * {@code resume}: runs the session in this process, which becomes its supervisor. When this returns programs run;
     * {@link Supervisor#serve} then serves it to its end.
     */
    public Supervisor resume(ResumeRequest request) throws IOException {
        return unfinished();
    }

    public SuspendResult suspend(String session) throws IOException {
        return unfinished();
    }

    public SuspendResult snapshot(String session) throws IOException {
        return unfinished();
    }

    /** {@code stop}: clean shutdown; files kept, no process state. */
    public SessionInfo stop(String session) throws IOException {
        return unfinished();
    }

    /**
     * {@code exec}: the command line that runs {@code command} inside, to be started with this process's own standard streams; its
     * exit code is the command's.
     *
     * @param user a name or uid inside; root when absent
     */
    public List<String> execCommand(String session, Optional<String> user, boolean terminal, List<String> command)
            throws IOException {
        return unfinished();
    }

    /** {@code logs}: what the session's init and desktop wrote. */
    public void logs(String session, OutputStream out) throws IOException {
        unfinished();
    }

    /** {@code screenshot}: the session's screen as PNG. */
    public void screenshot(String session, Path png) throws IOException {
        unfinished();
    }

    public String viewUrl(String session) throws IOException {
        return unfinished();
    }

    /** All sessions of the vault, by name. */
    public List<SessionInfo> sessions() throws IOException {
        return unfinished();
    }

    public SessionInfo inspect(String session) throws IOException {
        return unfinished();
    }

    /** Newest first. */
    public List<SnapshotInfo> history(String session) throws IOException {
        return unfinished();
    }

    /** {@code fork NAME[@SNAPSHOT] NEW}; of a running session and no snapshot named, from this instant. */
    public SessionInfo fork(String session, Optional<String> snapshot, String newName) throws IOException {
        return unfinished();
    }

    /** {@code rm NAME}; {@code force} ends a running session first. */
    public void remove(String session, boolean force) throws IOException {
        unfinished();
    }

    /** {@code rm NAME@SNAPSHOT}. */
    public void removeSnapshot(String session, String snapshot) throws IOException {
        unfinished();
    }

    @Override
    public void close() {}

    @SuppressWarnings("TypeParameterUnusedInFormals") // gone with the last unfinished body
    private static <T> T unfinished() {
        if (System.nanoTime() != 0) {
            throw new UnsupportedOperationException("being written");
        }
        return java.util.Objects.requireNonNull(null);
    }

    @Override
    public String toString() {
        return host + " " + vaultPath;
    }
}
