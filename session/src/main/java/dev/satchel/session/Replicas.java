package dev.satchel.session;

import dev.satchel.linux.Fd;
import dev.satchel.vault.Backend;
import dev.satchel.vault.DirectoryBackend;
import dev.satchel.vault.FileHeadWitness;
import dev.satchel.vault.ProgressListener;
import dev.satchel.vault.Replication;
import dev.satchel.vault.ReplicationReport;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VaultException;
import dev.satchel.vault.VaultId;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/** Other copies of a vault in directories that this host reaches, and the one that it keeps up to date by itself. */
final class Replicas {
    private static final long RATE_NANOS_MIN = 500_000_000;
    private static final double NANOS = 1e9;

    private final Host host;
    private final VaultId vault;

    Replicas(Host host, VaultId vault) {
        this.host = host;
        this.vault = vault;
    }

    // ---- a sync

    /** A copy that was opened. */
    record Opened(Vault vault, boolean made) {}

    /**
     * Opens the copy in a directory with the key of the vault.
     *
     * @param make whether an empty directory becomes one
     */
    Opened open(Vault of, Path directory, boolean make) throws IOException {
        Path own = Path.of(of.backend().location());
        Path place = directory.toAbsolutePath().normalize();
        if (place.startsWith(own) || own.startsWith(place)) {
            throw new SatchelException(
                    SatchelException.Kind.FAILED,
                    place + " and the vault " + own + " lie in each other: name a directory elsewhere for the copy");
        }
        boolean there = Files.exists(place.resolve("vault"));
        if (!there && make) {
            requireEmpty(place);
        }
        return new Opened(of.openReplica(backend(place), seen(), make), !there);
    }

    private static Backend backend(Path place) {
        return new DirectoryBackend(place);
    }

    private FileHeadWitness seen() {
        return new FileHeadWitness(host.state().resolve("seen"));
    }

    /** Of what a first sync that broke off has left, and a new file system has. */
    private static void requireEmpty(Path place) throws IOException {
        if (!Files.exists(place)) {
            return;
        }
        try (Stream<Path> entries = Files.list(place)) {
            Optional<Path> other = entries.filter(entry -> {
                        String name = entry.getFileName().toString();
                        return !Set.of("keys", "replica", ".tmp", ".lock", "lost+found")
                                .contains(name);
                    })
                    .findFirst();
            if (other.isPresent()) {
                throw new SatchelException(
                        SatchelException.Kind.FAILED,
                        place + " is no copy of the vault, and not empty ("
                                + other.get().getFileName() + "): name an empty directory");
            }
        }
    }

    /** Does it, having opened the copy. */
    SyncResult sync(Vault source, Path destination, Replication.Options options, Progress progress) throws IOException {
        boolean make = options.direction() != Replication.Direction.PULL && !options.dryRun();
        Opened copy = open(source, destination, make);
        try (Vault other = copy.vault()) {
            ReplicationReport report = run(source, other, options, listener(progress));
            return new SyncResult(other.backend().location(), copy.made(), false, report);
        }
    }

    ReplicationReport run(Vault source, Vault other, Replication.Options options, ProgressListener listener)
            throws IOException {
        return new Replication(source, other, options, host.id(), host.name(), listener).run();
    }

    private static ProgressListener listener(Progress progress) {
        long begun = System.nanoTime();
        return (done, total) -> {
            long nanos = System.nanoTime() - begun;
            StringBuilder what = new StringBuilder("syncing");
            if (nanos > RATE_NANOS_MIN) {
                what.append(' ')
                        .append(Math.round(done / 1e6 / (nanos / NANOS)))
                        .append(" MB/s, ")
                        .append(Math.round(Math.max(0, total - done) / 1e6))
                        .append(" MB left,");
            }
            progress.at(what.toString(), done, total);
        };
    }

    // ---- the copy that is kept up to date

    private Path setting() {
        return host.state().resolve("auto-sync").resolve(vault.toString());
    }

    private Path noted() {
        return host.state().resolve("auto-sync").resolve(vault + ".last");
    }

    private Path lockFile() {
        return host.state().resolve("auto-sync").resolve(vault + ".lock");
    }

    Optional<Path> kept() throws IOException {
        try {
            return Optional.of(Path.of(Json.read(Files.readAllBytes(setting())).text("destination")));
        } catch (NoSuchFileException e) {
            return Optional.empty();
        }
    }

    void keep(Path destination) throws IOException {
        write(
                setting(),
                Map.of("destination", destination.toAbsolutePath().normalize().toString()));
    }

    /** @return whether there was one */
    boolean keepNoMore() throws IOException {
        Files.deleteIfExists(noted());
        return Files.deleteIfExists(setting());
    }

    private static void write(Path file, Map<String, ?> fields) throws IOException {
        Path directory = file.resolveSibling("");
        Files.createDirectories(
                file.getParent() == null ? directory : file.getParent(),
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        Path fresh = file.resolveSibling(
                file.getFileName() + "." + ProcessHandle.current().pid());
        Files.write(fresh, Json.write(fields));
        Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
    }

    /** Whether the copy is there: a directory in which this vault is, not merely the place where its device is mounted at times. */
    boolean isReachable(Path destination) {
        try (Backend place = backend(destination)) {
            return Vault.identify(place).equals(vault);
        } catch (IOException e) {
            return false; // whatever is wrong with it, it is no copy now
        }
    }

    void noteDone() throws IOException {
        write(noted(), Map.of("at", Instant.now().toEpochMilli()));
    }

    void noteFailed(String why) throws IOException {
        Map<String, Object> fields = new LinkedHashMap<>();
        last().ifPresent(at -> fields.put("at", at.toEpochMilli()));
        fields.put("failure", why);
        write(noted(), fields);
    }

    private Optional<JsonObject> noting() throws IOException {
        try {
            return Optional.of(Json.read(Files.readAllBytes(noted())));
        } catch (NoSuchFileException e) {
            return Optional.empty();
        }
    }

    private Optional<Instant> last() throws IOException {
        Optional<JsonObject> noted = noting();
        return noted.isPresent() && noted.get().has("at")
                ? Optional.of(Instant.ofEpochMilli(noted.get().number("at")))
                : Optional.empty();
    }

    /** One on this host at a time brings the copy up to date by itself. */
    Optional<Fd> tryLock() throws IOException {
        Files.createDirectories(
                lockFile().resolveSibling(""),
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        Fd lock = Fd.open(lockFile(), Fd.O_RDWR | Fd.O_CREAT | Fd.O_CLOEXEC, 0600);
        if (lock.tryLock()) {
            return Optional.of(lock);
        }
        lock.close();
        return Optional.empty();
    }

    SyncStatus status(Vault source) throws IOException {
        Optional<Path> destination = kept();
        if (destination.isEmpty()) {
            return new SyncStatus(Optional.empty(), false, false, Optional.empty(), Optional.empty(), Optional.empty());
        }
        boolean working = true;
        Optional<Fd> lock = tryLock();
        if (lock.isPresent()) {
            lock.get().close();
            working = false;
        }
        boolean reachable = isReachable(destination.get());
        Optional<Long> left = Optional.empty();
        if (reachable) {
            try (Vault other = open(source, destination.get(), false).vault()) {
                ReplicationReport lacks = run(
                        source,
                        other,
                        new Replication.Options(
                                Replication.Direction.PUSH, Set.of(), false, true, Replication.Pace.NONE),
                        ProgressListener.NONE);
                left = Optional.of(lacks.bytesSent());
            } catch (VaultException e) {
                return new SyncStatus(
                        destination.map(Path::toString),
                        true,
                        working,
                        last(),
                        Optional.of(String.valueOf(e.getMessage())),
                        left);
            }
        }
        Optional<JsonObject> noted = noting();
        Optional<String> failure = noted.isPresent() ? noted.get().optionalText("failure") : Optional.empty();
        return new SyncStatus(destination.map(Path::toString), reachable, working, last(), failure, left);
    }
}
