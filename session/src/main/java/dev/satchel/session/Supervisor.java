package dev.satchel.session;

import dev.satchel.display.Screen;
import dev.satchel.linux.Errno;
import dev.satchel.linux.Fd;
import dev.satchel.linux.IdMap;
import dev.satchel.linux.LinuxException;
import dev.satchel.linux.Mounts;
import dev.satchel.linux.Namespaces;
import dev.satchel.linux.OwnMemory;
import dev.satchel.pod.Checkpoint;
import dev.satchel.pod.CheckpointException;
import dev.satchel.pod.Pod;
import dev.satchel.pod.PodSpec;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkWriter;
import dev.satchel.vault.CollectedException;
import dev.satchel.vault.DamagedException;
import dev.satchel.vault.ForgedException;
import dev.satchel.vault.Head;
import dev.satchel.vault.Lease;
import dev.satchel.vault.LeaseHolder;
import dev.satchel.vault.Pin;
import dev.satchel.vault.Snapshot;
import dev.satchel.vault.SnapshotDraft;
import dev.satchel.vault.SnapshotId;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VaultException;
import dev.satchel.vault.WriteStats;
import dev.satchel.volume.Frozen;
import dev.satchel.volume.MountedVolume;
import dev.satchel.volume.Volume;
import dev.satchel.volume.VolumeOptions;
import java.io.Closeable;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;

/**
 * The one process that serves one running session: puts its volume, network and pod together, takes snapshots of them, and takes
 * them apart again. Owns everything of the session on this host, its lease included; {@link #close} undoes it in reverse order,
 * also half-way. Thread-safe: one operation at a time.
 */
public final class Supervisor implements AutoCloseable {
    private static final long SHUT_DOWN_MILLIS = 10_000;
    private static final long POD_POLL_MILLIS = 250;
    private static final long DESKTOP_MILLIS_MAX = 30_000;
    private static final long DESKTOP_POLL_MILLIS = 20;
    /** A page that is loaded again, or lost its network for a moment, comes back sooner. */
    private static final long ALL_GONE_MILLIS = 10_000;

    /** Between tries to suspend a session that nobody looks at. */
    private static final long UNATTENDED_AGAIN_MILLIS = 60_000;

    private static final long FILE_TIME_MILLIS = 20;
    /** What programs do first is done by then, and what a resume leaves behind is closed. */
    private static final long TRIM_NANOS = 2_000_000_000;

    private static final long LEASE_POLL_NANOS = 1_000_000_000;
    private static final int ELOOP = 40;
    private static final int CAPTURE_TRIES_MAX = 4;
    /** What is answered where there is nothing to say but that it is done. */
    private static final JsonObject NOTHING = new JsonObject(Map.of());

    private static final long CAPTURE_PAUSE_MILLIS = 100;

    /**
     * How {@link #start} is to bring the session up.
     *
     * @param head the session's newest, which deciding this may have moved
     * @param lazy whether its programs are to run before their memory has arrived
     */
    record Start(Head head, Snapshot snapshot, boolean boot, VolumeOptions.ExistingLog log, boolean lazy) {}

    private interface Undo {
        void run() throws IOException;
    }

    private final Vault vault;
    private final Lease lease;
    private final HeadPuts heads;
    private final RunDirectory run;
    private final Host host;
    private final Settings settings;
    private final Door door;
    private final ExecutorService executor = Executors.newThreadPerTaskExecutor(
            Thread.ofPlatform().name("supervisor-", 0).daemon().factory());
    private final Deque<Undo> undo = new ArrayDeque<>();
    private final Troubles troubles;
    private final Recorder recorder = new Recorder();

    private Head head;
    private @Nullable Volume volume;
    private @Nullable MountedVolume files;
    private @Nullable Network network;
    private @Nullable Pod pod;
    private @Nullable SessionFiles userFiles;
    private volatile @Nullable SessionDisplay display;
    private @Nullable ControlServer control;
    private @Nullable ResumeResult result;
    private @Nullable Future<Optional<Thumbnail>> thumbnail;
    private boolean closed;
    private boolean awaited;
    private volatile @Nullable AutoSync autoSync;
    private @Nullable Path place; // of the vault

    /** What is done unasked; the newest, {@link #settings} may be older. */
    private volatile Upkeep upkeep;

    private Optional<String> labelOfNext = Optional.empty();

    /** When the newest snapshot was asked for. */
    private long captureNanos;

    /** When the newest snapshot was taken, or the session came up. */
    private volatile long snapshotNanos = System.nanoTime();

    /** What programs had done by then. */
    private String activity = "";

    /** The last snapshot in the background. Of the serving thread. */
    private @Nullable Future<?> background;

    /** Whether the newest snapshot holds all there is, so that nothing of the log needs to be kept. */
    private boolean safe;

    /** Takes over the vault, the lease and the run directory. */
    Supervisor(Vault vault, Lease lease, RunDirectory run, Host host, Head head, Door door) throws IOException {
        this.vault = vault;
        this.lease = lease;
        this.heads = new HeadPuts(vault, lease);
        this.run = run;
        this.host = host;
        this.head = head;
        this.settings = Settings.fromJson(head.settings());
        this.upkeep = settings.upkeep();
        this.door = door;
        this.troubles = new Troubles(run.trouble());
        undo.push(vault::close);
        undo.push(lease::close);
        undo.push(run::close);
        undo.push(executor::shutdownNow);
    }

    /** Brings the session up from a snapshot. After a failure, as after all else, what has been done is undone by {@link #close}. */
    void start(Start start, String vaultLocation) throws IOException {
        head = start.head();
        try {
            Optional<Checkpoint> checkpoint = start.boot() ? Optional.empty() : Snapshots.checkpoint(start.snapshot());
            Files.createDirectories(run.pod());
            PodSpec spec = settings.podSpec();
            // What a pod needs does not depend on each other: files, network and images are made side by side.
            Future<Network> networkMade = making(() -> Network.create(run, settings));
            Optional<Future<Pod.Images>> imagesMade =
                    checkpoint.map(state -> making(() -> Pod.images(run.pod(), vault.chunks(), state, start.lazy())));
            Path root = mountFiles(start);
            Network connected = get(networkMade);
            network = connected;
            if (checkpoint.isEmpty()) {
                writeResolvConf(run.files(), connected.resolvConf());
            }
            Pod.Images images = imagesMade.isPresent() ? get(imagesMade.get()) : null;
            // A file's time may be some milliseconds behind, by the kernel's tick.
            Instant booting = Instant.now().minusMillis(FILE_TIME_MILLIS);
            long podNanos = System.nanoTime();
            Pod running = images != null
                    ? Pod.restore(run.podId(), spec, run.pod(), root, connected, host.criu(), images, new Stalls())
                    : Pod.boot(run.podId(), spec, run.pod(), root, connected, host.criu());
            pod = running;
            safe = false;
            long podMillis = (System.nanoTime() - podNanos) / 1_000_000;
            undo.push(running::close);
            run.note(vaultLocation, running.initPid());
            SessionFiles reachable = new SessionFiles(run.files(), Path.of(vaultLocation), settings.uploadBytesMax());
            userFiles = reachable;
            undo.push(reachable::close);
            SessionDisplay shown = new SessionDisplay(
                    head.name(), door, host.state(), run.files(), running::processes, new SessionApi(new ApiSession()));
            display = shown;
            undo.push(shown::close);
            if (settings.suspendOnClose()) {
                shown.onAllGone(ALL_GONE_MILLIS, this::suspendUnattended);
            }
            undo.push(recorder::close);
            ControlServer listening = ControlServer.listen(run.control(), this::answer);
            control = listening;
            undo.push(listening::close);
            if (start.boot()) {
                awaitDesktop(running, booting);
            }
            place = Path.of(vaultLocation);
            AutoSync _ = keepCopy();
            result = new ResumeResult(
                    head.name(),
                    Optional.of(start.snapshot().id()),
                    millisSinceStart(),
                    checkpoint.map(Checkpoint::processes).orElse(1),
                    checkpoint.isEmpty(),
                    shown.link(true),
                    podMillis);
        } catch (IOException | RuntimeException e) {
            MountedVolume mounted = files;
            if (mounted != null) {
                mounted.refusals()
                        .rethrowFor(e); // CRIU met a damaged file system; the damage is what a person must know of
            }
            throw e;
        }
    }

    /** Tells of memory that can't be read: who looks at the session, and who asks how it is. */
    private final class Stalls implements Pod.Stalls {
        @Override
        public void missing(IOException cause) {
            troubles.tell(
                    Troubles.Kind.MEMORY,
                    "part of the session's memory can't be read (" + cause.getMessage()
                            + "); it will stand still when it needs that: " + remedy(cause));
        }

        @Override
        public void stalled(IOException cause) {
            troubles.tell(
                    Troubles.Kind.MEMORY,
                    "the session stands still, as memory that it needs can't be read (" + cause.getMessage() + "): "
                            + remedy(cause));
            SessionDisplay shown = display;
            if (shown != null) {
                shown.standStill(
                        isDamage(cause)
                                ? "It stands still: memory that it needs is damaged in the vault."
                                : "It stands still until its vault can be read again…");
            }
        }

        @Override
        public void goingOn() {
            troubles.over(Troubles.Kind.MEMORY);
            System.err.println("satchel: the session's memory can be read again");
            SessionDisplay shown = display;
            if (shown != null) {
                shown.goOn();
            }
        }

        private static String remedy(IOException cause) {
            return isDamage(cause)
                    ? "mend the vault with 'satchel vault repair --from COPY' and it goes on,"
                            + " or end it with 'satchel stop' and go back with 'satchel resume --at'"
                    : "it goes on by itself when the vault can be read again";
        }

        private static boolean isDamage(IOException cause) {
            return cause instanceof DamagedException || cause instanceof ForgedException;
        }
    }

    /**
     * Waits until the image's desktop is up (see images/README.md), so that who typed {@code resume} finds one; not for ever, and not
     * in an image that has none, or whose processes end.
     */
    private void awaitDesktop(Pod booted, Instant since) throws IOException {
        if (modified("usr/lib/satchel/desktop").isEmpty()) {
            return;
        }
        long deadline = System.nanoTime() + DESKTOP_MILLIS_MAX * 1_000_000;
        while (System.nanoTime() < deadline && !booted.awaitEnd(DESKTOP_POLL_MILLIS)) {
            if (Thread.currentThread().isInterrupted()) {
                throw new IOException("interrupted while '" + head.name() + "' booted");
            }
            // An earlier boot's may lie there until this one's first process removes it.
            Optional<Instant> ready = modified("run/satchel/display/ready");
            if (ready.isPresent() && ready.get().isAfter(since)) {
                return;
            }
        }
    }

    /** When a file of the session's was written last. */
    private Optional<Instant> modified(String path) throws IOException {
        try (Fd directory = Fd.open(run.files(), Fd.O_PATH | Fd.O_DIRECTORY | Fd.O_CLOEXEC);
                Fd file = directory.openInRoot(path, Fd.O_PATH | Fd.O_CLOEXEC, 0, true)) {
            return Optional.of(Files.getLastModifiedTime(Path.of("/proc/self/fd/" + file.number()))
                    .toInstant());
        } catch (LinuxException e) {
            if (e.errno() == Errno.ENOENT || e.errno() == Errno.ENOTDIR) {
                return Optional.empty();
            }
            throw e;
        }
    }

    /** Begins to make a part on another thread; it will be undone if it comes to be. */
    private <T extends Closeable> Future<T> making(Callable<T> part) {
        Future<T> made = executor.submit(part);
        undo.push(() -> {
            T present;
            try {
                present = get(made);
            } catch (IOException e) {
                return; // it did not come to be; who wanted it was told
            }
            present.close();
        });
        return made;
    }

    private static <T> T get(Future<T> future) throws IOException {
        try {
            return future.get();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof IOException cause) {
                throw cause;
            }
            throw new IOException(e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        }
    }

    /** Mounts the session's file system, as it is and with the pod's ids. @return the latter */
    private Path mountFiles(Start start) throws IOException {
        // Until programs run, the disk holds nothing that is not in the snapshot, or in a log that was there before.
        safe = start.log() == VolumeOptions.ExistingLog.DISCARD || !Volume.hasLog(vault, run.session());
        long diskBytes = Math.max(settings.diskBytes(), Snapshots.diskBytes(start.snapshot()));
        Volume opened = Volume.open(
                vault,
                run.session(),
                Snapshots.volume(start.snapshot()),
                Snapshots.diskBytes(start.snapshot()),
                VolumeOptions.DEFAULT.withLog(start.log()));
        volume = opened;
        undo.push(() -> {
            if (isLost()) {
                opened.abandon();
            } else if (safe) {
                opened.retire();
            } else {
                opened.close();
            }
        });
        Files.createDirectories(run.files());
        if (diskBytes > opened.sizeBytes()) {
            MountedVolume.grow(opened, run.volume(), diskBytes);
        }
        MountedVolume mounted = MountedVolume.mount(opened, run.volume(), run.files());
        files = mounted;
        undo.push(mounted::close);
        List<IdMap> ids = List.of(new IdMap(0, settings.idBase(), PodSpec.ID_COUNT));
        try (Fd user = Namespaces.user(ids, ids)) {
            run.makeRoot(settings.idBase());
            undo.push(run::removeRoot);
            Mounts.idmappedBind(run.files(), run.root(), user, false);
        }

        return run.root();
    }

    /** resolv.conf(5); a link is the image's own way of doing it, and left alone. */
    private static void writeResolvConf(Path root, String text) throws IOException {
        try (Fd directory = Fd.open(root, Fd.O_PATH | Fd.O_DIRECTORY | Fd.O_CLOEXEC);
                Fd file = directory.openInRoot(
                        "etc/resolv.conf", Fd.O_WRONLY | Fd.O_CREAT | Fd.O_TRUNC | Fd.O_CLOEXEC, 0644, false);
                Arena arena = Arena.ofConfined()) {
            file.writeFully(arena.allocateFrom(text).asSlice(0, text.length()), 0);
        } catch (LinuxException e) {
            if (e.errno() != ELOOP) {
                throw e;
            }
        }
    }

    /** Since this program was started, its JVM included; proc_pid_stat(5) and proc_uptime(5) count in hundredths of a second. */
    private static long millisSinceStart() throws IOException {
        String stat = Files.readString(Path.of("/proc/self/stat"));
        long started = Long.parseLong(stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1)[19]);
        String uptime = Files.readString(Path.of("/proc/uptime"));
        return Math.round(Double.parseDouble(uptime.substring(0, uptime.indexOf(' '))) * 1000) - started * 10;
    }

    /** How the session came to run. */
    public ResumeResult result() {
        return present(result);
    }

    private static <T> T present(@Nullable T part) {
        if (part == null) {
            throw new IllegalStateException("the session is not up");
        }
        return part;
    }

    /**
     * How videos that are asked for over HTTP are made; until this is called none are.
     *
     * @param line the command line of a program that calls {@link Recorder#run}
     */
    public void recordBy(List<String> line) {
        recorder.use(line);
    }

    /**
     * Serves the session until it is suspended, stopped, or ends by itself; then nothing of it is left on the host. Call once,
     * after the terminal was let go.
     *
     * @throws SatchelException when another host has taken it over: what runs here could not be written any more, and has been ended
     */
    public void serve() throws IOException {
        Pod running = present(pod);
        long beganNanos = System.nanoTime();
        long lookedNanos = beganNanos;
        boolean trimmed = false;
        while (true) {
            boolean ended = running.awaitEnd(POD_POLL_MILLIS);
            if (!trimmed && !ended && System.nanoTime() - beganNanos > TRIM_NANOS) {
                trimmed = true;
                trimMemory();
            }
            if (!ended && isSnapshotDue()) {
                snapshotInBackground();
            }
            if (System.nanoTime() - lookedNanos > LEASE_POLL_NANOS) {
                lookedNanos = System.nanoTime();
                if (isLost()) {
                    endLost();
                }
            }
            synchronized (this) {
                if (closed) {
                    return;
                }
                if (ended) {
                    stop(Progress.NONE);
                    return;
                }
            }
        }
    }

    /**
     * Where this process is to write what it has to say once it has let go of its terminal; there as long as the session runs, and
     * longer only if this process is killed.
     */
    public Path log() {
        return run.supervisorLog();
    }

    /** After {@link #serve}: until who asked for something, the suspend that ended it first of all, has been answered. */
    public void awaitAnswers() {
        present(control).awaitAnswers();
        present(display).awaitAnswers();
    }

    /**
     * After {@link #serve}: what a {@link Doorkeeper} needs. Empty if none is needed, as the session was not suspended, or nobody looked.
     */
    public synchronized Optional<Door> door() {
        return awaited ? Optional.of(door) : Optional.empty();
    }

    /** What keeps a copy of the vault up to date, and goes on with that when the session has ended. */
    public Optional<AutoSync> autoSync() {
        return Optional.ofNullable(autoSync);
    }

    /** A vault that can't be read tells nothing. */
    private boolean isLost() {
        try {
            return lease.takenOver();
        } catch (IOException e) {
            return false;
        }
    }

    private synchronized void endLost() throws IOException {
        if (closed) {
            return;
        }
        String host = vault.holder(head.id())
                .map(LeaseHolder::hostName)
                .map(name -> "host '" + name + "'")
                .orElse("another host");
        SatchelException lost = new SatchelException(
                SatchelException.Kind.IN_USE,
                "'" + head.name() + "' was taken over by " + host
                        + ", and has been ended here: suspend it there to have it back");
        closeBecause(lost);
        throw lost;
    }

    /** To who found this process by its name, and may mean another vault's session, it says so and does nothing. */
    private JsonObject answer(JsonObject request, Progress progress) throws IOException {
        boolean meant = request.optionalText("vault")
                        .map(vault.id().toString()::equals)
                        .orElse(true)
                && request.optionalText("session").map(head.name()::equals).orElse(true);
        return meant ? command(request, progress) : new JsonObject(Map.of("other", true));
    }

    private JsonObject command(JsonObject request, Progress progress) throws IOException {
        return switch (request.text("do")) {
            case "suspend" -> Results.toJson(suspend(progress, request.optionalText("label")));
            case "snapshot" -> Results.toJson(snapshot(progress, request.optionalText("label")));
            case "configure" -> {
                configure(request);
                yield NOTHING;
            }
            case "label" -> {
                label(SnapshotId.parse(request.text("snapshot")), request.text("label"));
                yield NOTHING;
            }
            case "fork" -> fork(request, progress);
            case "stop" -> {
                stop(progress);
                yield NOTHING;
            }
            case "kill" -> {
                close();
                yield NOTHING;
            }
            case "exec" -> Results.ofLine(execLine(request));
            case "view" -> new JsonObject(Map.of("view_url", present(display).link(!request.truth("look"))));
            case "listen" -> Results.toJson(listen(request));
            case "listen-no-more" ->
                new JsonObject(Map.of("listened", present(display).listenNoMore()));
            case "vnc" -> Results.toJson(present(display).vnc(!request.truth("look")));
            case "screenshot" -> {
                Files.write(Path.of(request.text("file")), present(display).picture());
                yield NOTHING;
            }
            case "type" -> {
                present(display).type(request.text("text"));
                yield NOTHING;
            }
            case "key" -> {
                present(display).keys(request.texts("keys"));
                yield NOTHING;
            }
            case "click" -> {
                present(display)
                        .click(
                                request.number("x"),
                                request.number("y"),
                                request.number("button", 1),
                                request.number("count", 1));
                yield NOTHING;
            }
            case "clipboard-get" -> clipboard();
            case "clipboard-set" -> {
                present(display).setClipboard(request.text("text"));
                yield NOTHING;
            }
            case "sources" -> Results.ofSources(vault.chunks().reports());
            case "status" ->
                Results.ofStatus(
                        present(pod).initPid(),
                        present(pod).processes(),
                        present(network).hostSideAddress());
            default -> throw new IOException("the supervisor does not know '" + request.text("do") + "'");
        };
    }

    private JsonObject clipboard() throws IOException {
        try {
            return new JsonObject(present(display)
                    .clipboard()
                    .map(text -> Map.<String, Object>of("text", text))
                    .orElse(Map.of()));
        } catch (Screen.TooLongException e) {
            return new JsonObject(Map.of("too_long", true));
        }
    }

    /** What viewers may ask for. */
    private final class ApiSession implements SessionApi.Session {
        @Override
        public Map<String, Object> describe() {
            Map<String, Object> facts = new LinkedHashMap<>();
            facts.put("name", head.name());
            facts.put("state", "running");
            facts.put("image", settings.image());
            facts.put("created", settings.created().toString());
            return facts;
        }

        @Override
        public List<Map<String, Object>> history() throws IOException {
            List<Map<String, Object>> history = new ArrayList<>();
            for (Snapshot snapshot : vault.history(head.id())) {
                Map<String, Object> one = new LinkedHashMap<>();
                one.put("snapshot", snapshot.id().toString());
                one.put("created", snapshot.created().toString());
                one.put("kind", snapshot.kind());
                one.put("bytes_new", snapshot.bytesNew());
                one.put("checkpoint", Snapshots.checkpoint(snapshot).isPresent());
                one.put("thumbnail", Snapshots.hasThumbnail(snapshot));
                one.put("windows", Snapshots.windows(snapshot));
                String label = upkeep.labels().get(snapshot.id());
                if (label != null) {
                    one.put("label", label);
                }
                history.add(one);
            }
            return history;
        }

        @Override
        public Optional<byte[]> thumbnail(String snapshot) throws IOException {
            return Snapshots.thumbnail(Satchel.snapshot(vault, head, snapshot), vault.chunks());
        }

        @Override
        public JsonObject command(JsonObject request) throws IOException {
            return Supervisor.this.command(request, Progress.NONE);
        }

        @Override
        public boolean isControlledByOne() {
            return present(display).isControlledByOne();
        }

        @Override
        public byte[] picture() throws IOException {
            return present(display).picture();
        }

        @Override
        public void beginVideo(Recorder.Wanted wanted) throws IOException {
            recorder.begin(present(display).link(false), wanted);
        }

        @Override
        public JsonObject endVideo() throws IOException {
            return recorder.end();
        }

        @Override
        public Path video() throws IOException {
            return recorder.video();
        }

        @Override
        public SessionFiles files() {
            return present(userFiles);
        }

        @Override
        public long uploadBytesMax() {
            return settings.uploadBytesMax();
        }
    }

    private RemoteAccess listen(JsonObject request) throws IOException {
        Optional<String> chain = request.optionalText("certificate");
        return present(display)
                .listen(
                        ListenAddress.parse(request.text("address")),
                        chain.isPresent()
                                ? Optional.of(new CertificateFiles(Path.of(chain.get()), Path.of(request.text("key"))))
                                : Optional.empty(),
                        !request.truth("look"));
    }

    private synchronized List<String> execLine(JsonObject request) throws IOException {
        // What it does may be over before anybody looks at what processes have done.
        activity = "";
        return present(pod)
                .execLine(
                        request.optionalText("user"),
                        present(display).environment(),
                        request.truth("terminal"),
                        request.texts("command"));
    }

    /** Takes files and processes into the vault; when this returns all of it is durable and nothing is left here. */
    synchronized SuspendResult suspend(Progress progress) throws IOException {
        return suspend(progress, Optional.empty());
    }

    private synchronized SuspendResult suspend(Progress progress, Optional<String> label) throws IOException {
        SuspendResult taken = capture(Snapshots.SUSPEND, false, progress, label);
        safe = true;
        awaited = present(display).lookedAt();
        close();
        return new SuspendResult(
                taken.session(),
                taken.snapshot(),
                taken.frozenMillis(),
                (System.nanoTime() - captureNanos) / 1_000_000,
                taken.processes(),
                taken.bytesMemory(),
                taken.bytesNew(),
                taken.criuMillis(),
                taken.durableMillis());
    }

    /** As {@code satchel fork}: from a snapshot that is named, or from this instant. */
    private synchronized JsonObject fork(JsonObject request, Progress progress) throws IOException {
        requireRunning();
        String name = request.text("name");
        Satchel.checkName(vault, name);
        Optional<String> named = request.optionalText("snapshot");
        SnapshotId from = named.isPresent()
                ? Satchel.snapshot(vault, head, named.get()).id()
                : snapshot(progress).snapshot();
        Satchel.fork(vault, host, head, from, name);
        return new JsonObject(Map.of("session", name, "snapshot", from.toString()));
    }

    /**
     * For nobody who would be told of a failure: the session goes on then, says so to who asks for it, and this is tried again as long
     * as nobody looks.
     */
    private void suspendUnattended() {
        try {
            SuspendResult ignored = suspend(Progress.NONE);
        } catch (IOException | RuntimeException e) {
            synchronized (this) {
                if (closed) {
                    return;
                }
            }
            troubles.tell(
                    Troubles.Kind.SUSPEND_ON_CLOSE,
                    "not suspended though its last viewer has left (" + e.getMessage()
                            + "): it is tried again each minute until somebody looks");
            present(display).onNobodyFor(UNATTENDED_AGAIN_MILLIS, this::suspendUnattended);
        }
    }

    /** The same, and the session goes on. */
    synchronized SuspendResult snapshot(Progress progress) throws IOException {
        return snapshot(progress, Optional.empty());
    }

    private synchronized SuspendResult snapshot(Progress progress, Optional<String> label) throws IOException {
        return snapshot(Snapshots.SNAPSHOT, progress, label);
    }

    private SuspendResult snapshot(String kind, Progress progress, Optional<String> label) throws IOException {
        try {
            // What comes while it is taken may not be in it.
            long received = present(userFiles).received();
            SuspendResult taken = capture(kind, true, progress, label);
            activity = activity(received);
            snapshotNanos = System.nanoTime();
            troubles.over(Troubles.Kind.SNAPSHOT);
            troubles.over(Troubles.Kind.SUSPEND_ON_CLOSE);
            return taken;
        } finally {
            trimMemory();
        }
    }

    // ---- in the background

    /** Whether it is time for a snapshot that nobody asked for. Cheap, and does nothing for a session without them. */
    private boolean isSnapshotDue() {
        Optional<Duration> every = upkeep.every();
        return every.isPresent()
                && System.nanoTime() - snapshotNanos > every.get().toNanos()
                && (background == null || background.isDone());
    }

    /** Takes one, unless no program has run, and no file been sent, since the last. Whatever becomes of it, the session goes on. */
    private void snapshotInBackground() {
        background = executor.submit(() -> {
            synchronized (this) {
                if (closed || !isTimeOver()) {
                    return;
                }
                try {
                    String now = activity(present(userFiles).received());
                    if (now.equals(activity)) {
                        snapshotNanos = System.nanoTime();
                        return;
                    }
                    SuspendResult _ = snapshot(Snapshots.AUTO, Progress.NONE, Optional.empty());
                } catch (IOException | RuntimeException e) {
                    // Not sooner than if it had been taken.
                    snapshotNanos = System.nanoTime();
                    troubles.tell(Troubles.Kind.SNAPSHOT, "no snapshot in the background: " + e.getMessage());
                    return;
                }
                prune();
            }
        });
    }

    /** Removes what the rules of retention don't keep. */
    private void prune() {
        try {
            Set<SnapshotId> excess = new HashSet<>();
            for (Snapshot snapshot : Satchel.excess(vault, head, Optional.empty())) {
                excess.add(snapshot.id());
            }
            if (!excess.isEmpty()) {
                Set<SnapshotId> _ = vault.remove(excess);
            }
            troubles.over(Troubles.Kind.RETENTION);
        } catch (IOException | RuntimeException e) {
            troubles.tell(
                    Troubles.Kind.RETENTION, "snapshots that are not to be kept are not removed: " + e.getMessage());
        }
    }

    /** Somebody may have taken a snapshot while this one waited for its turn. */
    private boolean isTimeOver() {
        Optional<Duration> every = upkeep.every();
        return every.isPresent()
                && System.nanoTime() - snapshotNanos > every.get().toNanos();
    }

    /**
     * Changes whenever a program runs: processes and the processor time they, and those that ended, have had.
     *
     * @param received files that pages have sent, by which it changes, too
     */
    private String activity(long received) throws IOException {
        StringBuilder text = new StringBuilder().append(received).append('\n');
        for (long pid : present(pod).processes()) {
            try {
                String stat = Files.readString(Path.of("/proc/" + pid + "/stat"));
                // proc_pid_stat(5): 14 to 17 are utime, stime, cutime and cstime; behind the name they are 12 to 15.
                String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ", 17);
                text.append(pid);
                for (int field = 11; field <= 14; field++) {
                    text.append(' ').append(fields[field]);
                }
                text.append('\n');
            } catch (NoSuchFileException e) {
                text.append(pid).append(" ended\n");
            }
        }
        return text.toString();
    }

    private synchronized void configure(JsonObject request) throws IOException {
        requireRunning();
        settleHead();
        Optional<Duration> every = request.has("every_seconds")
                ? Optional.of(Duration.ofSeconds(request.number("every_seconds")))
                : Optional.empty();
        putUpkeep(upkeep.changed(
                new UpkeepChange(every, request.optionalText("keep").map(Retention::parse))));
    }

    private synchronized void label(SnapshotId snapshot, String label) throws IOException {
        requireRunning();
        settleHead();
        putUpkeep(upkeep.ofWhatStays(vault).labelled(snapshot, label));
    }

    private void putUpkeep(Upkeep next) throws IOException {
        putHead(head.next(
                head.snapshot(), Settings.fromJson(head.settings()).with(next).toJson()));
    }

    private void putHead(Head next) throws IOException {
        heads.put(next);
        follow(next);
    }

    /** Before anything that replaces the head: one that was put may be there although that failed. */
    private void settleHead() throws IOException {
        Optional<Head> put = heads.settle();
        if (put.isPresent()) {
            follow(put.get());
        }
    }

    private void follow(Head next) throws IOException {
        head = next;
        upkeep = Settings.fromJson(next.settings()).upkeep();
    }

    /** After resumes and snapshots, which need far more of it than what follows. */
    private void trimMemory() {
        present(volume).forgetChunks();
        OwnMemory.trim();
    }

    /** What keeps a copy of the vault up to date, also if that was asked for after the session began to run; null if nobody did. */
    private @Nullable AutoSync keepCopy() throws IOException {
        if (autoSync == null) {
            AutoSync begun = AutoSync.begin(host, vault, present(place)).orElse(null);
            autoSync = begun;
            if (begun != null) {
                present(volume).onFold(begun::folded);
            }
        }
        return autoSync;
    }

    private SuspendResult capture(String kind, boolean leaveRunning, Progress progress, Optional<String> label)
            throws IOException {
        captureNanos = System.nanoTime();
        requireRunning();
        vault.requireThere();
        settleHead();
        labelOfNext = label;
        if (label.isPresent()) {
            // So that it is not refused when the snapshot is there; any other name is as long as its own.
            upkeep = upkeep.ofWhatStays(vault);
            byte[] _ = Settings.fromJson(head.settings())
                    .with(upkeep.labelled(new SnapshotId(0, 0, 0, 0), label.get()))
                    .toJson();
        }
        SessionDisplay shown = present(display);
        progress.at("bringing the rest of its memory", 0, 0);
        present(pod).awaitMemory();
        // Beside what else there is to do before programs are stopped.
        thumbnail = executor.submit(shown::thumbnail);
        shown.letGo(leaveRunning ? "Taking a snapshot" : "Suspending");
        AutoSync sync = keepCopy();
        if (sync != null) {
            sync.hold();
        }
        try {
            if (!leaveRunning) {
                present(userFiles).end("the session is being suspended");
            }
            SuspendResult taken = captureSomeTime(kind, leaveRunning, progress);
            if (sync != null) {
                sync.due();
            }
            if (leaveRunning) {
                shown.takeHold();
            } else {
                shown.suspended();
            }
            return taken;
        } catch (IOException | RuntimeException e) {
            present(userFiles).goOn();
            try {
                shown.takeHold();
            } catch (IOException again) {
                e.addSuppressed(again);
            }
            throw e;
        } finally {
            if (sync != null) {
                sync.goOn();
            }
        }
    }

    private SuspendResult captureSomeTime(String kind, boolean leaveRunning, Progress progress) throws IOException {
        for (int tries = 1; ; tries++) {
            try {
                return captureOnce(kind, leaveRunning, progress);
            } catch (CollectedException e) {
                // A new batch knows what has gone.
                if (tries == CAPTURE_TRIES_MAX) {
                    throw e;
                }
            } catch (CheckpointException e) {
                // Much of what CRIU can't take is a program's passing moment: a connection not yet accepted, a terminal
                // not yet its shell's.
                if (tries == CAPTURE_TRIES_MAX || !pauseBeforeCapture(tries)) {
                    throw new SatchelException(
                            SatchelException.Kind.FAILED,
                            "'" + head.name() + "' can't be frozen: " + e.getMessage()
                                    + ": it goes on running; end what can't be frozen and try again",
                            e);
                }
            }
        }
    }

    /** @return false when there is no time left to wait, as this process is to end */
    private static boolean pauseBeforeCapture(int tries) {
        try {
            Thread.sleep(CAPTURE_PAUSE_MILLIS << tries);
            return true;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    /** A command may have waited for what ended the session. */
    private void requireRunning() throws SatchelException {
        if (closed) {
            throw new SatchelException(
                    SatchelException.Kind.FAILED,
                    "'" + head.name() + "' has just ended here: see with 'satchel ls' what became of it");
        }
    }

    private SuspendResult captureOnce(String kind, boolean leaveRunning, Progress progress) throws IOException {
        // Decoded chunks make room for what stores the checkpoint.
        present(volume).forgetChunks();
        // A snapshot may fill the device up; if it does, the session must be able to go on writing.
        present(volume).setSpaceAside();
        try {
            return captureWithSpaceAside(kind, leaveRunning, progress);
        } catch (IOException | RuntimeException e) {
            try {
                present(volume).setSpaceAside();
            } catch (IOException again) {
                e.addSuppressed(again);
            }
            throw e;
        }
    }

    private SuspendResult captureWithSpaceAside(String kind, boolean leaveRunning, Progress progress)
            throws IOException {
        Captured captured = new Captured(kind, leaveRunning, progress);
        try (captured;
                ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
            captured.writer = writer;
            captured.dumpNanos = System.nanoTime();
            present(pod).checkpoint(leaveRunning, vault.chunks(), writer, before(), captured);
        }
        return captured.result();
    }

    /** The checkpoint that the session was resumed from or had last; one that can't be read is none. */
    private Optional<Checkpoint> before() throws IOException {
        Optional<SnapshotId> newest = head.snapshot();
        try {
            return newest.isEmpty() ? Optional.empty() : Snapshots.checkpoint(vault.snapshot(newest.get()));
        } catch (VaultException e) {
            return Optional.empty();
        }
    }

    /** One instant of the session on its way into the vault. */
    private final class Captured implements Pod.Capture, AutoCloseable {
        private final String kind;
        private final boolean leaveRunning;
        private final Progress progress;

        /** What programs wrote is on its way to the disk before they are stopped, so that they stand still for less. */
        private final Future<?> written = executor.submit((Callable<Void>) () -> {
            present(files).sync();
            return null;
        });

        private @Nullable ChunkWriter writer;
        private Optional<Thumbnail> seen = Optional.empty();
        private long dumpNanos;
        private long freezingNanos;
        private long dumpedNanos;
        private long capturedNanos;
        private long storedNanos;
        private @Nullable Future<?> synced;
        private @Nullable Frozen frozenFiles;
        private @Nullable Checkpoint checkpoint;
        private @Nullable SnapshotId snapshot;
        private long bytesNew;

        Captured(String kind, boolean leaveRunning, Progress progress) {
            this.kind = kind;
            this.leaveRunning = leaveRunning;
            this.progress = progress;
        }

        @Override
        public void freezing() throws IOException {
            get(written);
            // It holds the X server until it is there.
            seen = get(present(thumbnail));
            freezingNanos = System.nanoTime();
            progress.at("freezing", 0, 0);
        }

        @Override
        public void frozen() {
            // Nobody writes any more: what is left goes out while CRIU reads memory.
            synced = executor.submit((Callable<Void>) () -> {
                present(files).settle();
                return null;
            });
        }

        @Override
        public void captured() throws IOException {
            dumpedNanos = System.nanoTime();
            get(present(synced));
            present(files).settle();
            frozenFiles = present(volume).snapshot();
            capturedNanos = System.nanoTime();
        }

        @Override
        public void goingOn(long frozenMicros) {
            capturedNanos = freezingNanos + frozenMicros * 1_000;
        }

        @Override
        public void store(Pod.PendingCheckpoint pending) throws IOException {
            progress.at("storing", 0, 0);
            Frozen instant = present(frozenFiles);
            ChunkWriter chunks = present(writer);
            int helpers = Runtime.getRuntime().availableProcessors();
            Future<ChunkMapRef> volumeStored = executor.submit(() -> instant.store(chunks, executor, helpers));
            Checkpoint stored = pending.store();
            checkpoint = stored;
            ChunkMapRef picture =
                    seen.isPresent() ? Snapshots.put(seen.get(), vault.chunks(), chunks) : ChunkMapRef.EMPTY;
            List<String> windows = seen.map(Thumbnail::windows).orElse(List.of());
            ChunkMapRef volumeMap = get(volumeStored);
            WriteStats stats = chunks.commit();
            bytesNew = stats.bytesNew();
            snapshot = commit(kind, volumeMap, Optional.of(stored), chunks, bytesNew, picture, windows);
            instant.close();
            frozenFiles = null;
            if (leaveRunning) {
                present(volume).rebase(volumeMap);
            } else {
                disconnect();
            }
            storedNanos = System.nanoTime();
        }

        SuspendResult result() {
            Checkpoint stored = present(checkpoint);
            long durableMillis = (storedNanos - captureNanos) / 1_000_000;
            return new SuspendResult(
                    head.name(),
                    present(snapshot),
                    (capturedNanos - freezingNanos) / 1_000_000,
                    durableMillis,
                    stored.processes(),
                    stored.bytesMemory(),
                    bytesNew,
                    (dumpedNanos - dumpNanos) / 1_000_000,
                    durableMillis);
        }

        @Override
        public void close() throws IOException {
            if (freezingNanos == 0) {
                get(written); // else it would use files that are perhaps about to be unmounted
            }
            if (frozenFiles != null) {
                frozenFiles.close();
            }
        }
    }

    /** Begins to end what the session no longer needs once it is in the vault, while the kernel ends its processes. */
    private void disconnect() {
        Network connected = present(network);
        Future<?> ended = executor.submit((Callable<Void>) () -> {
            connected.close();
            return null;
        });
        undo.push(() -> get(ended));
    }

    /** Names the new snapshot in the session's head; from then on it is the session. */
    private SnapshotId commit(
            String kind,
            ChunkMapRef volumeMap,
            Optional<Checkpoint> checkpoint,
            ChunkWriter stored,
            long bytesNew,
            ChunkMapRef thumbnail,
            List<String> windows)
            throws IOException {
        SnapshotDraft draft = Snapshots.describing(
                Snapshots.draft(
                        head.id(),
                        head.snapshot(),
                        kind,
                        volumeMap,
                        checkpoint,
                        present(volume).sizeBytes(),
                        bytesNew,
                        thumbnail,
                        windows),
                head.name(),
                head.settings());
        try (Pin _ = vault.pin(head.id(), draft.trees().values(), stored)) {
            SnapshotId id = vault.put(draft);
            Upkeep looked = labelOfNext.isPresent() ? upkeep.labelled(id, labelOfNext.get()) : upkeep;
            Head next = head.next(
                    Optional.of(id),
                    labelOfNext.isEmpty()
                            ? head.settings()
                            : Settings.fromJson(head.settings()).with(looked).toJson());
            putHead(next);
            return id;
        }
    }

    /** Ends the processes cleanly and takes the files into the vault. */
    synchronized void stop(Progress progress) throws IOException {
        requireRunning();
        settleHead();
        progress.at("shutting down", 0, 0);
        Pod running = present(pod);
        running.shutDown(SHUT_DOWN_MILLIS);
        present(display).stopped();
        present(display).close();
        present(userFiles).close();
        present(control).close();
        running.close();
        run.removeRoot();
        present(files).close();
        progress.at("storing", 0, 0);
        Volume stopped = present(volume);
        try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain());
                Frozen instant = stopped.snapshot()) {
            ChunkMapRef map =
                    instant.store(writer, executor, Runtime.getRuntime().availableProcessors());
            WriteStats stats = writer.commit();
            commit(Snapshots.STOP, map, Optional.empty(), writer, stats.bytesNew(), ChunkMapRef.EMPTY, List.of());
            AutoSync sync = keepCopy();
            if (sync != null) {
                sync.due();
            }
        }
        safe = true;
        close();
    }

    /** For a process that is told to end: suspends the session if it still runs, and ends it if that can't be done. */
    public synchronized void rescue() throws IOException {
        if (closed) {
            return;
        }
        try {
            suspend(Progress.NONE);
        } catch (IOException | RuntimeException e) {
            closeBecause(e);
            throw e;
        }
    }

    private void closeBecause(Exception because) {
        try {
            close();
        } catch (IOException | RuntimeException e) {
            because.addSuppressed(e);
        }
    }

    /** Ends what is left of the session on this host, without a snapshot. Everything is tried; the first failure is thrown. */
    @Override
    public synchronized void close() throws IOException {
        if (closed) {
            return;
        }
        closed = true;
        Volume disk = volume;
        if (disk != null) {
            disk.stopWaiting();
        }
        AutoSync sync = autoSync;
        if (sync != null) {
            undo.addLast(sync::sessionEnded);
        }
        // Undoing runs to its end also when it is an interrupt that made it necessary.
        boolean interrupted = Thread.interrupted();
        IOException failure = null;
        while (!undo.isEmpty()) {
            try {
                undo.pop().run();
            } catch (IOException | RuntimeException e) {
                if (failure == null) {
                    failure = e instanceof IOException io ? io : new IOException(e);
                } else {
                    failure.addSuppressed(e);
                }
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        if (failure != null) {
            throw failure;
        }
    }
}
