package dev.satchel.session;

import dev.satchel.display.record.Recording;
import dev.satchel.linux.Fd;
import dev.satchel.linux.LinuxException;
import dev.satchel.pod.Checkpoint;
import dev.satchel.pod.CheckpointFormats;
import dev.satchel.pod.PodSpec;
import dev.satchel.vault.Backend;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkSource;
import dev.satchel.vault.ChunkStore;
import dev.satchel.vault.ChunkWriter;
import dev.satchel.vault.CollectReport;
import dev.satchel.vault.DamagedException;
import dev.satchel.vault.DirectoryBackend;
import dev.satchel.vault.FileHeadWitness;
import dev.satchel.vault.ForgedException;
import dev.satchel.vault.Head;
import dev.satchel.vault.HostCache;
import dev.satchel.vault.ImageManifest;
import dev.satchel.vault.InUseException;
import dev.satchel.vault.KdfCost;
import dev.satchel.vault.Lease;
import dev.satchel.vault.LeaseHolder;
import dev.satchel.vault.Pin;
import dev.satchel.vault.RepairReport;
import dev.satchel.vault.RepairRequest;
import dev.satchel.vault.Replication;
import dev.satchel.vault.SessionId;
import dev.satchel.vault.Snapshot;
import dev.satchel.vault.SnapshotDraft;
import dev.satchel.vault.SnapshotId;
import dev.satchel.vault.SourceReport;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VaultException;
import dev.satchel.vault.VaultId;
import dev.satchel.vault.VaultInfo;
import dev.satchel.vault.VaultKey;
import dev.satchel.vault.VerifyReport;
import dev.satchel.volume.MountedVolume;
import dev.satchel.volume.Volume;
import dev.satchel.volume.VolumeOptions;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.net.SocketException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * One vault seen from one host: everything that the commands do. A method is a command; it returns what the command prints and
 * throws {@link SatchelException}, a {@link dev.satchel.vault.VaultException} or another {@link IOException}. The vault is opened,
 * and the passphrase asked for, only when a method needs it. Not thread-safe.
 */
public final class Satchel implements AutoCloseable {
    private static final long DISK_ALIGNMENT = 4096;
    private static final long MEBIBYTE = 1 << 20;
    private static final int TAKE_OVER_TRIES_MAX = 100;
    private static final long LOSER_WAIT_MILLIS = 10_000;
    private static final long LOSER_POLL_MILLIS = 100;
    /** Ten years. */
    private static final long RECORDING_MILLIS_MAX = 10L * 366 * 86_400_000;

    /** Of a pack's chunks; to write the rest anew costs as much as it then gives back. */
    private static final int UNNEEDED_PERCENT_MAX = 25;

    private static final long LOG_POLL_MILLIS = 250;

    private final Host host;
    private final Path vaultPath;
    private final PassphraseSource passphrase;
    private final VaultKeys keys;
    private final Progress progress;
    private final ChunkPlaces places;
    private @Nullable Vault opened;

    /** @param vaultPath the vault's directory */
    public Satchel(Host host, Path vaultPath, PassphraseSource passphrase, Progress progress) {
        this(host, vaultPath, passphrase, progress, ChunkPlaces.NONE);
    }

    /**
     * @param vaultPath the vault's directory
     * @param places where else chunks are read from
     */
    public Satchel(Host host, Path vaultPath, PassphraseSource passphrase, Progress progress, ChunkPlaces places) {
        this.host = host;
        this.vaultPath = vaultPath.toAbsolutePath().normalize();
        this.passphrase = passphrase;
        this.keys = new VaultKeys(host, this.vaultPath, passphrase);
        this.progress = progress;
        this.places = places;
    }

    // ---- the vault ----

    /** {@code vault init}: the passphrase gets that label, or none if it is empty. */
    public void initVault(String label) throws IOException {
        byte[] secret = passphrase.passphrase();
        try (Backend backend = new DirectoryBackend(vaultPath)) {
            Vault.init(backend, secret, KdfCost.measured(), label);
        } finally {
            Arrays.fill(secret, (byte) 0);
        }
    }

    /** What opens the vault; also keeps its key on this host, and forgets it. */
    public VaultKeys keys() {
        return keys;
    }

    /** {@code vault unlock}: see {@link VaultKeys#unlock}. */
    public void unlock(Duration keep) throws IOException {
        keys.unlock(keep);
    }

    /** {@code vault lock}; does nothing when it was not unlocked. */
    public void lock() throws IOException {
        keys.lock();
    }

    private Vault vault() throws IOException {
        Vault vault = opened;
        if (vault == null) {
            vault = open();
            opened = vault;
        }
        return vault;
    }

    /** Without opening it. */
    private VaultId vaultId() throws IOException {
        Vault vault = opened;
        if (vault != null) {
            return vault.id();
        }
        try (Backend backend = new DirectoryBackend(vaultPath)) {
            return Vault.identify(backend);
        }
    }

    private Vault open() throws IOException {
        Backend backend = new DirectoryBackend(vaultPath);
        Vault vault;
        try (VaultKey key = keys.key(backend)) {
            vault = Vault.open(backend, key, new FileHeadWitness(host.state().resolve("seen")));
        } catch (IOException | RuntimeException e) {
            backend.close();
            throw e;
        }
        if (places.areGiven()) {
            try {
                places.connect(vault, vaultPath, host);
            } catch (IOException | RuntimeException e) {
                vault.close();
                throw e;
            }
        }
        return vault;
    }

    /** {@code vault serve}: gives the vault's chunks, sealed, to whoever has its link, until it is closed; this object stays open as long. */
    public ChunkServer serve(ListenAddress address, Optional<CertificateFiles> certificate, Optional<Path> secretFile)
            throws IOException {
        return new ChunkServer(
                vault().chunks().serve(new DirectoryBackend(vaultPath)),
                host.state(),
                address,
                certificate,
                secretFile);
    }

    /** What the host's cache of chunks takes, if there is one. */
    public Optional<HostCache.Usage> cache() throws IOException {
        return HostCache.usage(ChunkPlaces.cache(host));
    }

    /** {@code vault clear-cache}; needs no vault. @return how many bytes of chunks were in it */
    public long clearCache() throws IOException {
        return HostCache.clear(ChunkPlaces.cache(host));
    }

    /** {@code vault info}. */
    public VaultInfo info() throws IOException {
        return vault().info();
    }

    /** {@code vault verify}: reads everything, or (if {@code quick}) all but what chunks contain. */
    public VerifyResult verify(boolean quick) throws IOException {
        VerifyReport report = quick
                ? vault().verifyStructure((done, total) -> progress.at("verifying", done, total))
                : vault().verify((done, total) -> progress.at("verifying", done, total));
        List<LossInfo> lost = new Losses(vault(), host, progress).of(report.hit());
        return new VerifyResult(quick ? report : report.with(damagedLogs()), lost);
    }

    /** What is wrong with what sessions that don't run have written since their newest snapshots. */
    private List<String> damagedLogs() throws IOException {
        List<String> lines = new ArrayList<>();
        for (Head head : vault().heads(damaged -> {})) {
            ChunkMapRef base;
            try {
                base = head.snapshot().isEmpty()
                        ? ChunkMapRef.EMPTY
                        : Snapshots.volume(vault().snapshot(head.snapshot().get()));
            } catch (VaultException e) {
                continue; // the snapshot itself is damaged, which has been told
            }
            Volume.checkLog(vault(), head.id(), base)
                    .ifPresent(wrong -> lines.add("what '" + head.name()
                            + "' has written since its newest snapshot is lost in part: " + wrong));
        }
        return lines;
    }

    /**
     * {@code vault repair}.
     *
     * @param from directories of other copies of the vault, or URLs of servers that have chunks; lookasides are asked for chunks after them
     * @param dryRun changes nothing
     * @param giveUp puts aside what nothing can mend, and has sessions that need it go back to what is whole
     */
    public RepairResult repair(List<String> from, boolean dryRun, boolean giveUp) throws IOException {
        List<Backend> replicas = new ArrayList<>();
        List<ChunkSource> sources = new ArrayList<>();
        try {
            for (String place : from) {
                if (place.startsWith("http://") || place.startsWith("https://")) {
                    try {
                        sources.add(ChunkStore.sourceAt(place));
                    } catch (IllegalArgumentException e) {
                        throw new SatchelException(
                                SatchelException.Kind.FAILED,
                                "'" + place
                                        + "' is no server of chunks: give --from the link that 'satchel vault serve'"
                                        + " printed",
                                e);
                    }
                    continue;
                }
                Path copy = Path.of(place);
                if (!Files.isDirectory(copy)) {
                    throw new SatchelException(
                            SatchelException.Kind.NOT_FOUND,
                            "there is no directory " + copy + ": name one that a copy of the vault is in");
                }
                replicas.add(new DirectoryBackend(copy.toAbsolutePath().normalize()));
            }
            List<String> entrance;
            try (Backend backend = new DirectoryBackend(vaultPath)) {
                entrance = Vault.repairEntrance(backend, replicas, dryRun);
            }
            Vault vault = vault();
            sources.addAll(places.lookasidesOf(vault));
            RepairReport report = vault.repair(
                    new RepairRequest(
                            replicas,
                            sources,
                            dryRun,
                            giveUp,
                            host.id(),
                            host.name(),
                            this::runsHere,
                            Satchel::describedHead),
                    (done, total) -> progress.at("looking for damage", done, total));
            return new RepairResult(
                    entrance,
                    report,
                    new Losses(vault, host, progress).of(report.left().hit()));
        } finally {
            for (Backend replica : replicas) {
                replica.close();
            }
            for (ChunkSource source : sources) {
                source.close();
            }
        }
    }

    private boolean runsHere(SessionId session) {
        try {
            return RunDirectory.of(host, session).supervised();
        } catch (IOException e) {
            // Nobody can tell: then it is left alone.
            return true;
        }
    }

    private static Optional<Head> describedHead(Snapshot snapshot) {
        try {
            return Snapshots.described(snapshot);
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    /**
     * {@code vault gc}: gives back the space of what nothing needs.
     *
     * @param dryRun changes nothing, only tells what it would
     */
    public CollectReport collect(boolean dryRun) throws IOException {
        return vault().collect(
                        UNNEEDED_PERCENT_MAX,
                        dryRun,
                        (done, total) -> progress.at("writing anew what is needed", done, total));
    }

    /**
     * {@code vault sync}: brings another copy of the vault up to date, or this one, or both.
     *
     * @param keep whether the copy is kept up to date by itself from now on
     */
    public SyncResult sync(SyncRequest request, boolean keep) throws IOException {
        Vault vault = vault();
        Replicas replicas = new Replicas(host, vault.id());
        Path destination = request.destination()
                .or(() -> kept(replicas))
                .orElseThrow(
                        () -> new SatchelException(
                                SatchelException.Kind.FAILED,
                                "this host keeps no copy of the vault up to date: say where the copy is, 'satchel vault sync DEST'"));
        SyncResult done = replicas.sync(
                vault,
                destination,
                new Replication.Options(
                        request.direction(),
                        Set.copyOf(request.sessions()),
                        request.resend(),
                        request.dryRun(),
                        Replication.Pace.NONE),
                progress);
        if (keep) {
            replicas.keep(destination);
        }
        boolean kept = Optional.of(destination.toAbsolutePath().normalize()).equals(replicas.kept());
        if (kept
                && !request.dryRun()
                && request.sessions().isEmpty()
                && request.direction() != Replication.Direction.PULL) {
            replicas.noteDone();
        }
        return new SyncResult(done.destination(), done.made(), kept, done.report());
    }

    private static Optional<Path> kept(Replicas replicas) {
        try {
            return replicas.kept();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** {@code vault sync --no-auto-sync}. @return whether a copy was kept up to date */
    public boolean keepNoCopy() throws IOException {
        return new Replicas(host, vault().id()).keepNoMore();
    }

    /** Where the copy is that this host keeps up to date by itself. */
    public Optional<Path> keptCopy() throws IOException {
        return new Replicas(host, vaultId()).kept();
    }

    /** {@code vault sync --status}. */
    public SyncStatus syncStatus() throws IOException {
        return new Replicas(host, vault().id()).status(vault());
    }

    /** {@code doctor}: each thing a session needs of this host, checked by doing it. Needs no vault. */
    public static List<CheckResult> doctor(Host host) throws IOException {
        return new Doctor(host).examine();
    }

    // ---- images ----

    /** {@code image build}; {@code recipe} is a recipe's name or a directory's path. */
    public ImageInfo buildImage(String name, String recipe) throws IOException {
        return new ImageBuilder(host, vault(), progress).build(name, recipe);
    }

    /** {@code image import} of a container image (a directory or an archive) or of a root file system's tar, compressed or not. */
    public ImageInfo importImage(String name, Path path) throws IOException {
        return new ImageBuilder(host, vault(), progress).importFrom(name, path);
    }

    /** By name. */
    public List<ImageInfo> images() throws IOException {
        List<ImageInfo> images = new ArrayList<>();
        for (ImageManifest image : vault().images()) {
            images.add(ImageBuilder.info(image));
        }
        images.sort(Comparator.comparing(ImageInfo::image));
        return images;
    }

    /** {@code image rm}; sessions made from it stay as they are. */
    public void removeImage(String name) throws IOException {
        vault().deleteImage(image(name).id());
    }

    private ImageManifest image(String name) throws IOException {
        return vault().image(name)
                .orElseThrow(() -> new SatchelException(
                        SatchelException.Kind.NOT_FOUND,
                        "there is no image '" + name
                                + "': see 'satchel image ls', or build it with 'satchel image build " + name + "'"));
    }

    // ---- sessions ----

    /** {@code create}: at once, whatever the image's size; nothing is copied. */
    public SessionInfo create(CreateRequest request) throws IOException {
        checkName(vault(), request.name());
        ImageManifest image = image(request.image());
        SessionId id = SessionId.random();
        JsonObject imageSettings = Json.read(image.metadata());
        SecureRandom random = new SecureRandom();
        long disk = request.diskBytes().orElse(image.diskBytes());
        if (disk < image.diskBytes()) {
            throw new SatchelException(
                    SatchelException.Kind.FAILED,
                    "a disk of " + disk + " bytes is too small for image '" + request.image() + "': give --disk "
                            + (image.diskBytes() + MEBIBYTE - 1) / MEBIBYTE + "M or more, or none");
        }
        Map<String, String> environment =
                new LinkedHashMap<>(imageSettings.has("environment") ? imageSettings.textMap("environment") : Map.of());
        environment.putAll(request.environment());
        Settings settings = new Settings(
                request.image(),
                Instant.now().truncatedTo(ChronoUnit.MILLIS),
                (disk + DISK_ALIGNMENT - 1) / DISK_ALIGNMENT * DISK_ALIGNMENT,
                request.memoryBytes(),
                request.cpus(),
                imageSettings.texts("command"),
                imageSettings.number("uid", 0),
                imageSettings.number("gid", 0),
                imageSettings.has("directory") ? imageSettings.text("directory") : "",
                environment,
                request.geometry(),
                atLeast(request.geometryMax(), request.geometry()),
                request.suspendOnClose(),
                request.uploadBytesMax(),
                hostname(request.name()),
                // Apart from ids that hosts give to people and other containers, and seldom the same for two sessions.
                PodSpec.ID_COUNT * (16384 + random.nextInt(16384)),
                random.nextInt(Settings.NETWORKS),
                Upkeep.NONE.changed(request.upkeep()));
        Vault vault = vault();
        try (Lease lease = vault.acquire(id, host.id(), host.name(), false);
                Pin _ = vault.pin(id, List.of(image.volume()))) {
            if (vault.image(request.image())
                    .filter(same -> same.id().equals(image.id()))
                    .isEmpty()) {
                vault.delete(id, lease);
                throw new SatchelException(
                        SatchelException.Kind.NOT_FOUND,
                        "the image '" + request.image()
                                + "' has just been removed or replaced: see 'satchel image ls'");
            }
            SnapshotId first = vault.put(Snapshots.describing(
                    Snapshots.draft(
                            id,
                            Optional.empty(),
                            Snapshots.CREATE,
                            image.volume(),
                            Optional.empty(),
                            image.diskBytes(),
                            0),
                    request.name(),
                    settings.toJson()));
            vault.putHead(Head.first(id, request.name(), Optional.of(first), settings.toJson()), lease);
        }
        return inspect(request.name());
    }

    /** Both {@code WIDTHxHEIGHT}. @return the larger of each side */
    private static String atLeast(String geometry, String least) {
        int x = geometry.indexOf('x');
        int leastX = least.indexOf('x');
        int width = Math.max(Integer.parseInt(geometry, 0, x, 10), Integer.parseInt(least, 0, leastX, 10));
        int height = Math.max(
                Integer.parseInt(geometry, x + 1, geometry.length(), 10),
                Integer.parseInt(least, leastX + 1, least.length(), 10));
        return width + "x" + height;
    }

    static void checkName(Vault vault, String name) throws IOException {
        if (name.isEmpty()
                || name.length() > 64
                || !name.chars().allMatch(Satchel::mayBeInName)
                || name.startsWith("-")) {
            throw new SatchelException(
                    SatchelException.Kind.WRONG_USAGE,
                    "'" + name + "' can't be a session's name: use up to 64 letters, digits, '.', '_' and '-'");
        }
        if (vault.head(name).isPresent()) {
            throw new SatchelException(
                    SatchelException.Kind.EXISTS,
                    "there is a session '" + name + "' already: take another name, or 'satchel rm " + name + "' first");
        }
    }

    private static boolean mayBeInName(int c) {
        return (c >= 'a' && c <= 'z')
                || (c >= 'A' && c <= 'Z')
                || (c >= '0' && c <= '9')
                || c == '.'
                || c == '_'
                || c == '-';
    }

    /** hostname(7): letters, digits and hyphens. */
    private static String hostname(String name) {
        StringBuilder host = new StringBuilder();
        for (int i = 0; i < name.length(); i++) {
            char c = name.charAt(i);
            host.append(c == '_' || c == '.' ? '-' : Character.toLowerCase(c));
        }
        return host.toString();
    }

    private Head head(String name) throws IOException {
        return vault().head(name)
                .orElseThrow(() -> new SatchelException(
                        SatchelException.Kind.NOT_FOUND, "there is no session '" + name + "': see 'satchel ls'"));
    }

    /**
     * {@code resume}: runs the session in this process, which becomes its supervisor. When this returns programs run; {@link
     * Supervisor#serve} then serves it to its end. Call once; this object is of no use afterwards.
     */
    public Supervisor resume(ResumeRequest request) throws IOException {
        Vault vault = vault();
        if (places.isAutomatic()) {
            places.connect(vault, vaultPath, host);
        }
        Head head = head(request.session());
        RunDirectory run = RunDirectory.of(host, head.id());
        if (!run.claim()) {
            throw new SatchelException(
                    SatchelException.Kind.IN_USE,
                    "'" + head.name() + "' runs on this host, " + host.name()
                            + ", already: look at it with 'satchel screenshot " + head.name()
                            + " FILE.png', or put it away with 'satchel suspend " + head.name() + "'");
        }
        Lease lease;
        try {
            lease = lease(head, request.takeOver());
        } catch (IOException | RuntimeException e) {
            run.close();
            throw e;
        }
        Supervisor supervisor;
        try {
            head = head(request.session());
            requireNotBehind(vault, head, request.takeOver());
            supervisor = new Supervisor(vault, lease, run, host, head, door(vault, head, run));
            opened = null; // the supervisor's now
        } catch (IOException | RuntimeException e) {
            lease.close();
            run.close();
            throw e;
        }
        try {
            if (request.takeOver()) {
                awaitLoser(vault, head);
            }
            supervisor.start(start(vault, head, lease, request), vaultPath.toString());
            return supervisor;
        } catch (IOException | RuntimeException e) {
            try {
                supervisor.close();
            } catch (IOException | RuntimeException suppressed) {
                e.addSuppressed(suppressed);
            }
            throw e;
        }
    }

    /** A copy that is older than what this host has seen elsewhere is not run by accident. */
    private static void requireNotBehind(Vault vault, Head head, boolean accepted) throws IOException {
        if (!vault.isBehind(head)) {
            return;
        }
        if (!accepted) {
            throw new SatchelException(
                    SatchelException.Kind.IN_USE,
                    "'" + head.name()
                            + "' has gone further in another copy of this vault that this host has seen: bring it"
                            + " here with 'satchel vault sync COPY --pull'; or, if that copy is lost, go on from here with"
                            + " --take-over");
        }
        vault.acceptBehind(head);
    }

    private Door door(Vault vault, Head head, RunDirectory run) throws IOException {
        Settings settings = Settings.fromJson(head.settings());
        return new Door(
                head.name(),
                settings.image(),
                settings.created(),
                Links.of(run.podId()).key(),
                keys.keyName(vault.id()),
                host.state(),
                host.runDirectory(head.id()),
                host.doorkeeper(head.id()));
    }

    /**
     * The right to change a session. What this host had and did not give back, because it died, it takes again: the caller has
     * claimed the session's run directory, so that no supervisor of this host lives.
     */
    private Lease lease(Head head, boolean takeOver) throws IOException {
        Vault vault = vault();
        for (int tries = 0; ; tries++) {
            try {
                return vault.acquire(head.id(), host.id(), host.name(), takeOver || tries > 0);
            } catch (InUseException e) {
                LeaseHolder holder = e.holder();
                if (e.inAnotherCopy()) {
                    throw new SatchelException(
                            SatchelException.Kind.IN_USE,
                            "'" + head.name() + "' ran on host '" + holder.hostName() + "' since "
                                    + holder.since().truncatedTo(ChronoUnit.SECONDS)
                                    + " from another copy of this vault when this copy was last synced: suspend it there and"
                                    + " sync; or go on from here with --take-over, which makes a branch if that one goes on,"
                                    + " too",
                            e);
                }
                if (!holder.host().equals(host.id())) {
                    throw new SatchelException(
                            SatchelException.Kind.IN_USE,
                            "'" + head.name() + "' runs on host '" + holder.hostName() + "' since "
                                    + holder.since().truncatedTo(ChronoUnit.SECONDS)
                                    + ": suspend it there; if that host is dead, take it with --take-over",
                            e);
                }
                if (tries == TAKE_OVER_TRIES_MAX) {
                    throw e;
                }
            }
        }
    }

    /** A supervisor on this machine that lost the session ends within seconds; what it still has of the log must not be read before. */
    private void awaitLoser(Vault vault, Head head) throws IOException {
        long deadline = System.nanoTime() + LOSER_WAIT_MILLIS * 1_000_000;
        while (Volume.isLogInUse(vault, head.id())) {
            if (System.nanoTime() > deadline) {
                throw new SatchelException(
                        SatchelException.Kind.IN_USE,
                        "'" + head.name()
                                + "' is taken from its host, but a process of this machine still writes its disk: end the"
                                + " supervisor of that host (see fuser(1) on "
                                + vault.backend().location()
                                + "), then type it again");
            }
            progress.at("waiting for the host that lost it to let go", 0, 0);
            try {
                Thread.sleep(LOSER_POLL_MILLIS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IOException("interrupted while waiting for the host that lost '" + head.name() + "'", e);
            }
        }
    }

    /** What a resume goes on from, of the present format: a checkpoint of an earlier one is brought to it by a snapshot more. */
    private Supervisor.Start start(Vault vault, Head head, Lease lease, ResumeRequest request) throws IOException {
        Supervisor.Start start = choose(vault, head, lease, request);
        Optional<Checkpoint> checkpoint = Snapshots.checkpoint(start.snapshot());
        if (start.boot() || checkpoint.isEmpty() || Snapshots.isOfPresentFormat(start.snapshot())) {
            return start;
        }
        try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
            Checkpoint upgraded = CheckpointFormats.upgrade(vault.chunks(), writer, checkpoint.get());
            if (upgraded.equals(checkpoint.get())) {
                return start;
            }
            progress.at("bringing the session's memory to the present format", 0, 0);
            SnapshotDraft draft = Snapshots.upgraded(
                    start.snapshot(),
                    start.head().id(),
                    upgraded,
                    writer.commit().bytesNew());
            try (Pin _ = vault.pin(head.id(), draft.trees().values(), writer)) {
                SnapshotId id = vault.put(draft);
                Head next = start.head().next(Optional.of(id), start.head().settings());
                vault.putHead(next, lease);
                return new Supervisor.Start(next, vault.snapshot(id), start.boot(), start.log(), start.lazy());
            }
        }
    }

    /** Decides what a resume goes on from. */
    private Supervisor.Start choose(Vault vault, Head head, Lease lease, ResumeRequest request) throws IOException {
        Snapshot newest = vault.snapshot(head.snapshot().orElseThrow(() -> noSnapshot(head)));
        boolean crashed = Volume.hasLog(vault, head.id());
        Head current = head;
        if (crashed && (request.at().isPresent() || Snapshots.checkpoint(newest).isPresent())) {
            // What was written after the snapshot is kept as one of its own, whatever is chosen now.
            current = keepCrashed(vault, head, newest, lease);
            newest = vault.snapshot(current.snapshot().orElseThrow());
            crashed = false;
        }
        if (request.at().isPresent()) {
            Snapshot chosen = snapshot(vault, current, request.at().get());
            if (!chosen.id().equals(newest.id())) {
                Head before = current;
                current = current.next(Optional.of(chosen.id()), current.settings());
                vault.putHead(current, lease);
                if (!vault.stays(chosen.id())) {
                    vault.putHead(current.next(before.snapshot(), current.settings()), lease);
                    throw removedMeanwhile(chosen.id());
                }
            }
            return new Supervisor.Start(
                    current,
                    chosen,
                    request.fresh() || Snapshots.checkpoint(chosen).isEmpty(),
                    DISCARD,
                    lazy(request));
        }
        if (request.fresh()) {
            return new Supervisor.Start(current, newest, true, VolumeOptions.ExistingLog.REPLAY, lazy(request));
        }
        if (newest.kind().equals(Snapshots.CRASH)) {
            Optional<SnapshotId> before = newest.parent();
            throw new SatchelException(
                    SatchelException.Kind.FAILED,
                    "'" + head.name()
                            + "' ended without a suspend, on a host or supervisor that died: boot it on its newest files"
                            + " with 'satchel resume " + head.name() + " --fresh'"
                            + before.map(id -> ", or go back to its last processes and files with 'satchel resume "
                                            + head.name() + " --at " + Snapshots.shortId(id) + "'")
                                    .orElse(""));
        }
        return new Supervisor.Start(
                current,
                newest,
                crashed || Snapshots.checkpoint(newest).isEmpty(),
                VolumeOptions.ExistingLog.REPLAY,
                lazy(request));
    }

    private static boolean lazy(ResumeRequest request) {
        return request.lazy().orElse(LAZY_BY_DEFAULT);
    }

    /** What programs do not touch at once is most of their memory. */
    private static final boolean LAZY_BY_DEFAULT = true;

    private static final VolumeOptions.ExistingLog DISCARD = VolumeOptions.ExistingLog.DISCARD;

    private static SatchelException noSnapshot(Head head) {
        return new SatchelException(
                SatchelException.Kind.NOT_AUTHENTIC,
                "'" + head.name() + "' has no snapshot: its creation broke off; remove it with 'satchel rm "
                        + head.name() + "'");
    }

    /** Makes a snapshot of what a dead supervisor had on stable storage. @return the head that names it */
    private Head keepCrashed(Vault vault, Head head, Snapshot newest, Lease lease) throws IOException {
        progress.at("keeping what was written before the crash", 0, 0);
        try (Volume volume = Volume.open(
                vault,
                head.id(),
                Snapshots.volume(newest),
                Snapshots.diskBytes(newest),
                VolumeOptions.DEFAULT.withLog(VolumeOptions.ExistingLog.REPLAY))) {
            Head next;
            try (var writer = vault.chunks().writer(vault.chunks().ownDomain());
                    var instant = volume.snapshot()) {
                var map = instant.store(writer, Runnable::run, 1);
                long bytesNew = writer.commit().bytesNew();
                SnapshotDraft draft = Snapshots.describing(
                        Snapshots.draft(
                                head.id(),
                                Optional.of(newest.id()),
                                Snapshots.CRASH,
                                map,
                                Optional.empty(),
                                volume.sizeBytes(),
                                bytesNew),
                        head.name(),
                        head.settings());
                try (Pin _ = vault.pin(head.id(), draft.trees().values(), writer)) {
                    next = head.next(Optional.of(vault.put(draft)), head.settings());
                    vault.putHead(next, lease);
                }
            }
            volume.retire();
            return vault.head(head.id()).orElse(next);
        }
    }

    /** A snapshot of a session by its label, its id or a prefix of that. */
    static Snapshot snapshot(Vault vault, Head head, String prefix) throws IOException {
        List<Snapshot> found = new ArrayList<>();
        Map<SnapshotId, String> labels =
                Settings.fromJson(head.settings()).upkeep().labels();
        List<Snapshot> all = vault.history(head.id());
        for (Snapshot snapshot : all) {
            if (prefix.equals(labels.get(snapshot.id()))) {
                return snapshot; // the newest of that name
            }
        }
        for (Snapshot snapshot : all) {
            if (snapshot.id().toString().startsWith(prefix)) {
                found.add(snapshot);
            }
        }
        if (found.size() != 1) {
            throw new SatchelException(
                    SatchelException.Kind.NOT_FOUND,
                    (found.isEmpty()
                                    ? "'" + head.name() + "' has no snapshot "
                                    : "'" + head.name() + "' has several snapshots ")
                            + prefix + ": see 'satchel history " + head.name() + "'");
        }
        return found.getFirst();
    }

    /**
     * Asks the supervisor of a session that runs here. To whom the vault is unlocked, it need not be opened for that, which takes several times
     * as long as to ask.
     */
    private JsonObject ask(String session, Map<String, ?> request) throws IOException {
        VaultId vault = vaultId();
        if (opened == null && keys.isKept(vault)) {
            Map<String, Object> addressed = new LinkedHashMap<>(request);
            addressed.put("vault", vault.toString());
            addressed.put("session", session);
            for (RunDirectory run : RunDirectory.startedWith(host, session)) {
                Optional<JsonObject> answer = askIfThere(run, addressed);
                if (answer.isPresent() && !answer.get().has("other")) {
                    return answer.get();
                }
            }
        }
        Head head = head(session);
        RunDirectory run = RunDirectory.of(host, head.id());
        if (!run.supervised()) {
            throw notRunning(head);
        }
        Optional<JsonObject> answer = askIfThere(run, request);
        if (answer.isPresent()) {
            return answer.get();
        }
        if (run.supervised()) {
            throw new SatchelException(
                    SatchelException.Kind.FAILED,
                    "'" + session + "' starts or ends here just now: try it again in a moment");
        }
        throw notRunning(head); // it has ended meanwhile
    }

    /** Empty if nobody hears what is asked. */
    private Optional<JsonObject> askIfThere(RunDirectory run, Map<String, ?> request) throws IOException {
        try {
            return Optional.of(ControlClient.ask(run.control(), request, progress));
        } catch (SocketException | LinuxException e) {
            return Optional.empty();
        }
    }

    private SatchelException notRunning(Head head) throws IOException {
        SessionInfo info = describe(head);
        String session = head.name();
        return new SatchelException(
                info.state() == SessionInfo.State.ELSEWHERE
                        ? SatchelException.Kind.IN_USE
                        : SatchelException.Kind.FAILED,
                switch (info.state()) {
                    case ELSEWHERE ->
                        "'" + session + "' runs on host '" + info.host().orElse("?") + "': do it there";
                    case CRASHED ->
                        "the supervisor of '" + session + "' died: see what there is with 'satchel resume " + session
                                + "'";
                    default -> "'" + session + "' does not run: start it with 'satchel resume " + session + "'";
                });
    }

    /** {@code suspend}: when this returns all of it is durable and nothing of it is left here. */
    public SuspendResult suspend(String session) throws IOException {
        return suspend(session, Optional.empty());
    }

    /** The same, and the snapshot gets a label. */
    public SuspendResult suspend(String session, Optional<String> label) throws IOException {
        return Results.suspend(ask(session, labelled("suspend", label)));
    }

    private static Map<String, Object> labelled(String command, Optional<String> label) throws SatchelException {
        Map<String, Object> request = new LinkedHashMap<>();
        request.put("do", command);
        if (label.isPresent()) {
            checkLabel(label.get());
            request.put("label", label.get());
        }
        return request;
    }

    /** {@code snapshot}: the same, and it goes on. */
    public SuspendResult snapshot(String session) throws IOException {
        return snapshot(session, Optional.empty());
    }

    /** The same, and it gets a label. */
    public SuspendResult snapshot(String session, Optional<String> label) throws IOException {
        return Results.suspend(ask(session, labelled("snapshot", label)));
    }

    /** {@code stop}: clean shutdown; files kept, no process state. */
    public SessionInfo stop(String session) throws IOException {
        ask(session, Map.of("do", "stop"));
        return inspect(session);
    }

    /**
     * {@code exec}: the command line that runs {@code command} inside, to be started with this process's own standard streams; its
     * exit code is the command's.
     *
     * @param user a name or uid inside; root when absent
     */
    public List<String> execCommand(String session, Optional<String> user, boolean terminal, List<String> command)
            throws IOException {
        Map<String, Object> request = new LinkedHashMap<>();
        request.put("do", "exec");
        user.ifPresent(name -> request.put("user", name));
        request.put("terminal", terminal);
        request.put("command", command);
        return ask(session, request).texts("line");
    }

    /** {@code logs}: what the session's init and desktop wrote. */
    public void logs(String session, OutputStream out) throws IOException {
        Head head = head(session);
        RunDirectory run = RunDirectory.of(host, head.id());
        if (run.supervised()) {
            copyLog(run.root(), out);
            return;
        }
        Snapshot snapshot = vault().snapshot(head.snapshot().orElseThrow(() -> noSnapshot(head)));
        Path directory = Files.createTempDirectory(
                host.state(),
                "logs-",
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        try {
            Path mountPoint = Files.createDirectory(directory.resolve("files"));
            try (Volume volume = Volume.open(
                    vault(),
                    SessionId.random(),
                    Snapshots.volume(snapshot),
                    Snapshots.diskBytes(snapshot),
                    VolumeOptions.DEFAULT)) {
                try (MountedVolume mounted = MountedVolume.mount(volume, directory.resolve("volume"), mountPoint)) {
                    copyLog(mounted.mountPoint(), out);
                } finally {
                    volume.retire();
                }
            }
        } finally {
            DirectoryTree.delete(directory);
        }
    }

    /** {@code logs -f}: the same, and what is written from then on, until the session ends here. */
    public void followLogs(String session, OutputStream out) throws IOException {
        RunDirectory run = RunDirectory.of(host, head(session).id());
        if (!run.supervised()) {
            logs(session, out);
            return;
        }
        long offset = 0;
        while (run.supervised()) {
            try {
                offset = copyLog(run.root(), offset, out);
            } catch (LinuxException e) {
                if (run.supervised()) {
                    throw e;
                }
                return; // it has ended just now, and its files went
            }
            try {
                Thread.sleep(LOG_POLL_MILLIS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw (IOException) new InterruptedIOException("interrupted: the session goes on").initCause(e);
            }
        }
    }

    private static void copyLog(Path root, OutputStream out) throws IOException {
        long ignored = copyLog(root, 0, out);
    }

    /** Keeps nothing open: the session's files must be free to go. @return where it ends; from there on it is new */
    private static long copyLog(Path root, long from, OutputStream out) throws IOException {
        long offset = from;
        try (Fd directory = Fd.open(root, Fd.O_PATH | Fd.O_DIRECTORY | Fd.O_CLOEXEC);
                Fd log = directory.openInRoot("var/log/satchel/session.log", Fd.O_RDONLY | Fd.O_CLOEXEC, 0, true);
                Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(1 << 16);
            for (long count = log.pread(buffer, offset); count > 0; count = log.pread(buffer, offset)) {
                out.write(buffer.asSlice(0, count).toArray(java.lang.foreign.ValueLayout.JAVA_BYTE));
                offset += count;
            }
        } catch (dev.satchel.linux.LinuxException e) {
            if (e.errno() != 2) {
                throw e;
            }
            // It has not been booted yet: nothing was written.
        }
        return offset;
    }

    /**
     * {@code screenshot NAME@SNAPSHOT}: the small picture that was taken with a snapshot, as JPEG.
     *
     * @param snapshot a label, an id or a prefix of that
     */
    public void screenshot(String session, String snapshot, Path jpeg) throws IOException {
        Head head = head(session);
        byte[] picture = Snapshots.thumbnail(snapshot(vault(), head, snapshot), vault().chunks())
                .orElseThrow(() -> new SatchelException(
                        SatchelException.Kind.NOT_FOUND,
                        "no picture was taken with snapshot '" + snapshot + "' of '" + session
                                + "', as it showed nothing: see 'satchel history " + session + "'"));
        Files.write(jpeg, picture);
    }

    /** {@code screenshot}: the session's screen as PNG. */
    public void screenshot(String session, Path png) throws IOException {
        askInVain(
                session, Map.of("do", "screenshot", "file", png.toAbsolutePath().toString()));
    }

    /**
     * {@code view}: the link that lets a browser in.
     *
     * @param look only to look
     */
    public String viewUrl(String session, boolean look) throws IOException {
        return ask(session, Map.of("do", "view", "look", look)).text("view_url");
    }

    /**
     * {@code view --listen}: has browsers on other computers let in from now on, by TLS.
     *
     * @param certificate PEM, this host's first, and its key, PKCS #8; empty for this host's own
     * @param look only to look
     */
    public RemoteAccess listen(
            String session, ListenAddress address, Optional<CertificateFiles> certificate, boolean look)
            throws IOException {
        Map<String, Object> request = new LinkedHashMap<>();
        request.put("do", "listen");
        request.put("address", address.toString());
        request.put("look", look);
        if (certificate.isPresent()) {
            request.put(
                    "certificate", certificate.get().chain().toAbsolutePath().toString());
            request.put("key", certificate.get().key().toAbsolutePath().toString());
        }
        return Results.remoteAccess(ask(session, request));
    }

    /** {@code view --no-listen}: lets browsers on other computers in no more. @return whether they were */
    public boolean listenNoMore(String session) throws IOException {
        return ask(session, Map.of("do", "listen-no-more")).truth("listened");
    }

    /**
     * {@code view --vnc}: has VNC clients of this host let in from now on.
     *
     * @param look only to look
     */
    public VncAccess vnc(String session, boolean look) throws IOException {
        return Results.vncAccess(ask(session, Map.of("do", "vnc", "look", look)));
    }

    /**
     * {@code record}: a video of the session's screen, made by this process, until the time is over, the session ends or is suspended here,
     * or the calling thread is interrupted, which is how it is ended.
     *
     * @param webm what is there is overwritten
     * @param longest from the first picture on; empty: no end
     * @param framesPerSecondMax 1 to 60
     */
    public Recording.Result recording(String session, Path webm, Optional<Duration> longest, int framesPerSecondMax)
            throws IOException {
        long millisMax = longest.map(Duration::toMillis).orElse(RECORDING_MILLIS_MAX);
        long total = longest.isPresent() ? millisMax : 0;
        try {
            return Recording.record(
                    URI.create(viewUrl(session, true)),
                    webm,
                    millisMax,
                    framesPerSecondMax,
                    (millis, bytes) ->
                            progress.at("recorded " + (bytes >> 10) + " KiB", Math.min(millis, total), total));
        } catch (UnsupportedOperationException e) {
            String said = e.getMessage();
            throw new SatchelException(SatchelException.Kind.HOST_LACKS, said == null ? e.toString() : said);
        }
    }

    /** {@code type}: as a person would; a new line is the Return key. */
    public void type(String session, String text) throws IOException {
        askInVain(session, Map.of("do", "type", "text", text));
    }

    /** {@code key}: chords such as {@code ctrl+c}, one after the other. */
    public void key(String session, List<String> chords) throws IOException {
        askInVain(session, Map.of("do", "key", "keys", chords));
    }

    /**
     * {@code click}.
     *
     * @param button from 1, the left one, as X11 counts them
     * @param count 0: only moves the pointer there
     */
    public void click(String session, int x, int y, int button, int count) throws IOException {
        askInVain(session, Map.of("do", "click", "x", x, "y", y, "button", button, "count", count));
    }

    /** {@code clipboard get}: the text that the session's programs offer, if they do; fails if it is longer than 1 MiB. */
    public Optional<String> clipboard(String session) throws IOException {
        JsonObject answer = ask(session, Map.of("do", "clipboard-get"));
        if (answer.truth("too_long")) {
            throw new SatchelException(
                    SatchelException.Kind.FAILED,
                    "what was copied in '" + session
                            + "' is longer than 1 MiB: save it to a file there, and fetch that with 'satchel exec'");
        }
        return answer.optionalText("text");
    }

    /** {@code clipboard set}. */
    public void setClipboard(String session, String text) throws IOException {
        askInVain(session, Map.of("do", "clipboard-set", "text", text));
    }

    private void askInVain(String session, Map<String, ?> request) throws IOException {
        JsonObject ignored = ask(session, request);
    }

    /**
     * All sessions of the vault that can be read, by name.
     *
     * @param damaged is told of the others, one line each
     */
    public List<SessionInfo> sessions(Consumer<String> damaged) throws IOException {
        List<SessionInfo> sessions = new ArrayList<>();
        for (Head head : vault().heads(damaged)) {
            try {
                sessions.add(describe(head));
            } catch (DamagedException | ForgedException e) {
                damaged.accept("'" + head.name() + "': " + e.getMessage());
            }
        }
        sessions.sort(Comparator.comparing(SessionInfo::session));
        return sessions;
    }

    /** {@code inspect}. */
    public SessionInfo inspect(String session) throws IOException {
        return describe(head(session));
    }

    /** How each place has done that a session's chunks are read from; nothing if it does not run here. */
    public List<SourceReport> sources(String session) throws IOException {
        RunDirectory run = RunDirectory.of(host, head(session).id());
        return run.supervised() ? Results.sources(ask(session, Map.of("do", "sources"))) : List.of();
    }

    private SessionInfo describe(Head head) throws IOException {
        Settings settings = Settings.fromJson(head.settings());
        Optional<Snapshot> newest = vault().newest(head.id());
        Optional<LeaseHolder> holder = vault().holder(head.id());
        Optional<LeaseHolder> otherCopys = vault().holderElsewhere(head.id());
        SessionInfo.State state;
        if (otherCopys.isPresent()
                || (holder.isPresent() && !holder.get().host().equals(host.id()))) {
            state = SessionInfo.State.ELSEWHERE;
        } else if (RunDirectory.of(host, head.id()).supervised()) {
            state = SessionInfo.State.RUNNING;
        } else if (holder.isPresent() || Volume.hasLog(vault(), head.id())) {
            state = SessionInfo.State.CRASHED;
        } else {
            state = atRest(newest);
        }
        long stored = 0;
        for (Snapshot snapshot : vault().history(head.id())) {
            stored += snapshot.bytesNew();
        }
        return new SessionInfo(
                head.name(),
                state,
                settings.image(),
                head.snapshot(),
                holder.or(() -> otherCopys).map(LeaseHolder::hostName),
                settings.created(),
                stored,
                newest.map(Snapshot::bytesLogical).orElse(0L),
                settings.address(),
                settings.hostname(),
                settings.diskBytes(),
                Optional.of(RunDirectory.of(host, head.id()).supervisorLog()).filter(Files::exists),
                settings.upkeep().every(),
                settings.upkeep().keep(),
                trouble(RunDirectory.of(host, head.id())));
    }

    private static Optional<String> trouble(RunDirectory run) throws IOException {
        try {
            return Optional.of(Files.readString(run.trouble()));
        } catch (NoSuchFileException e) {
            return Optional.empty();
        }
    }

    private static SessionInfo.State atRest(Optional<Snapshot> newest) throws IOException {
        if (newest.isEmpty()) {
            return SessionInfo.State.CREATED;
        }
        if (Snapshots.checkpoint(newest.get()).isPresent()) {
            return SessionInfo.State.SUSPENDED;
        }
        return switch (newest.get().kind()) {
            case Snapshots.CREATE -> SessionInfo.State.CREATED;
            case Snapshots.CRASH -> SessionInfo.State.CRASHED;
            default -> SessionInfo.State.STOPPED;
        };
    }

    /** Newest first. */
    public List<SnapshotInfo> history(String session) throws IOException {
        List<SnapshotInfo> history = new ArrayList<>();
        Head head = head(session);
        Map<SnapshotId, String> labels =
                Settings.fromJson(head.settings()).upkeep().labels();
        for (Snapshot snapshot : vault().history(head.id())) {
            history.add(new SnapshotInfo(
                    snapshot.id(),
                    snapshot.parent(),
                    snapshot.created(),
                    snapshot.kind(),
                    snapshot.bytesNew(),
                    snapshot.bytesLogical(),
                    Snapshots.processes(snapshot),
                    Snapshots.hasThumbnail(snapshot),
                    Snapshots.windows(snapshot),
                    Optional.ofNullable(labels.get(snapshot.id()))));
        }
        return history;
    }

    /** {@code set}: changes how a session is looked after, whether it runs here or not at all. */
    public SessionInfo configure(String session, UpkeepChange change) throws IOException {
        Map<String, Object> request = new LinkedHashMap<>();
        request.put("do", "configure");
        change.every().ifPresent(time -> request.put("every_seconds", time.toSeconds()));
        change.keep().ifPresent(keep -> request.put("keep", keep.toString()));
        if (RunDirectory.of(host, head(session).id()).supervised()) {
            askInVain(session, request);
        } else {
            changeUpkeep(session, upkeep -> upkeep.changed(change));
        }
        return inspect(session);
    }

    /**
     * {@code label}: names a snapshot, which retention then leaves alone.
     *
     * @param label empty: takes its name
     * @return the snapshot
     */
    public SnapshotId label(String session, String snapshot, String label) throws IOException {
        checkLabel(label);
        SnapshotId id = snapshot(vault(), head(session), snapshot).id();
        if (RunDirectory.of(host, head(session).id()).supervised()) {
            askInVain(session, Map.of("do", "label", "snapshot", id.toString(), "label", label));
        } else {
            changeUpkeep(session, upkeep -> upkeep.ofWhatStays(vault()).labelled(id, label));
        }
        return id;
    }

    static void checkLabel(String label) throws SatchelException {
        if (label.length() > Upkeep.LABEL_LENGTH_MAX || label.chars().anyMatch(Character::isISOControl)) {
            throw new SatchelException(
                    SatchelException.Kind.FAILED,
                    "a label has up to " + Upkeep.LABEL_LENGTH_MAX
                            + " characters, all of them printable: choose another");
        }
    }

    private interface Change {
        Upkeep of(Upkeep upkeep) throws IOException;
    }

    /** Of a session that does not run here; nobody else may have it. */
    private void changeUpkeep(String session, Change change) throws IOException {
        Head head = head(session);
        RunDirectory run = RunDirectory.of(host, head.id());
        if (!run.claim()) {
            throw new SatchelException(
                    SatchelException.Kind.FAILED,
                    "'" + session + "' starts or ends here just now: try it again in a moment");
        }
        try (run;
                Lease lease = lease(head, false)) {
            Head present = head(session);
            Settings settings = Settings.fromJson(present.settings());
            Settings next = settings.with(change.of(settings.upkeep()));
            vault().putHead(present.next(present.snapshot(), next.toJson()), lease);
        }
    }

    /**
     * {@code prune}: removes those of a session's own snapshots that its rules, or others, do not keep. Those with labels stay, and those
     * where any session stands. The space is given back by {@link #collect}.
     *
     * @param keep instead of the session's own rules
     * @param dryRun removes nothing
     * @return what went, or would go, newest first
     */
    public List<SnapshotInfo> prune(String session, Optional<Retention> keep, boolean dryRun) throws IOException {
        Head head = head(session);
        List<Snapshot> excess = excess(vault(), head, keep);
        Set<SnapshotId> removed = new HashSet<>();
        for (Snapshot snapshot : excess) {
            removed.add(snapshot.id());
        }
        List<SnapshotInfo> gone = new ArrayList<>();
        for (SnapshotInfo snapshot : history(session)) {
            if (removed.contains(snapshot.snapshot())) {
                gone.add(snapshot);
            }
        }
        if (!dryRun && !removed.isEmpty()) {
            Set<SnapshotId> went = vault().remove(removed);
            gone.removeIf(snapshot -> !went.contains(snapshot.snapshot()));
        }
        return gone;
    }

    /** What a session's rules do not keep of its own snapshots. */
    static List<Snapshot> excess(Vault vault, Head head, Optional<Retention> keep) throws IOException {
        Upkeep upkeep = Settings.fromJson(head.settings()).upkeep();
        record Dated(Snapshot snapshot) implements Retention.Dated {
            @Override
            public Instant created() {
                return snapshot.created();
            }
        }
        Set<SnapshotId> stoodAt = new HashSet<>();
        for (Head other : vault.heads()) {
            other.snapshot().ifPresent(stoodAt::add);
        }
        List<Dated> own = new ArrayList<>();
        for (Snapshot snapshot : vault.history(head.id())) {
            if (snapshot.session().equals(head.id())) {
                own.add(new Dated(snapshot));
            }
        }
        List<Snapshot> excess = new ArrayList<>();
        for (Dated dated : keep.orElse(upkeep.keep()).excess(own)) {
            SnapshotId id = dated.snapshot().id();
            if (!stoodAt.contains(id) && !upkeep.labels().containsKey(id)) {
                excess.add(dated.snapshot());
            }
        }
        return excess;
    }

    /** {@code fork NAME[@SNAPSHOT] NEW}; of a running session and no snapshot named, from this instant. */
    public SessionInfo fork(String session, Optional<String> snapshot, String newName) throws IOException {
        Vault vault = vault();
        checkName(vault, newName);
        Head head = head(session);
        if (snapshot.isEmpty() && RunDirectory.of(host, head.id()).supervised()) {
            snapshot(session);
            head = head(session);
        }
        Head parent = head;
        SnapshotId from = snapshot.isPresent()
                ? snapshot(vault, parent, snapshot.get()).id()
                : parent.snapshot().orElseThrow(() -> noSnapshot(parent));
        fork(vault, host, parent, from, newName);
        return inspect(newName);
    }

    /** Makes a second session that stands at a snapshot of the first. */
    static void fork(Vault vault, Host host, Head parent, SnapshotId from, String newName) throws IOException {
        checkName(vault, newName);
        SessionId id = SessionId.random();
        try (Lease lease = vault.acquire(id, host.id(), host.name(), false)) {
            vault.putHead(Head.first(id, newName, Optional.of(from), parent.settings()), lease);
            if (!vault.stays(from)) {
                vault.delete(id, lease);
                throw removedMeanwhile(from);
            }
        }
    }

    private static SatchelException removedMeanwhile(SnapshotId snapshot) {
        return new SatchelException(
                SatchelException.Kind.NOT_FOUND,
                "snapshot " + Snapshots.shortId(snapshot)
                        + " has just been removed: choose another, see 'satchel history'");
    }

    /** {@code rm NAME}; {@code force} ends a session first that runs here; one that runs elsewhere is not touched. */
    public void remove(String session, boolean force) throws IOException {
        Vault vault = vault();
        Head head = head(session);
        RunDirectory run = RunDirectory.of(host, head.id());
        if (force && run.supervised()) {
            ask(session, Map.of("do", "kill"));
        }
        if (!run.claim()) {
            throw new SatchelException(
                    SatchelException.Kind.IN_USE,
                    "'" + session + "' runs on this host: suspend or stop it first, or remove it with --force");
        }
        try (run) {
            Lease lease = lease(head, false);
            Volume.deleteLog(vault, head.id());
            vault.delete(head.id(), lease);
            Doorkeeper.Dismissal _ =
                    Doorkeeper.dismiss(host.doorkeeper(head.id()), Optional.of("The session was removed."));
        }
    }

    /** {@code rm NAME@SNAPSHOT}. */
    public void removeSnapshot(String session, String snapshot) throws IOException {
        Vault vault = vault();
        Head head = head(session);
        Snapshot chosen = snapshot(vault, head, snapshot);
        for (Head other : vault.heads()) {
            if (other.snapshot().equals(Optional.of(chosen.id()))) {
                throw new SatchelException(
                        SatchelException.Kind.FAILED,
                        "snapshot " + Snapshots.shortId(chosen.id()) + " is where '" + other.name()
                                + "' stands: go to another with 'satchel resume " + other.name()
                                + " --at', or remove the session");
            }
        }
        if (vault.remove(Set.of(chosen.id())).isEmpty()) {
            throw new SatchelException(
                    SatchelException.Kind.FAILED,
                    "snapshot " + Snapshots.shortId(chosen.id()) + " is needed just now, or '" + head.name()
                            + "' is storing one: try it again in a moment");
        }
    }

    @Override
    public void close() throws IOException {
        if (opened != null) {
            opened.close();
            opened = null;
        }
    }
}
