package dev.satchel.pod;

import dev.satchel.linux.Errno;
import dev.satchel.linux.Fd;
import dev.satchel.linux.LinuxException;
import dev.satchel.linux.PidFd;
import dev.satchel.linux.Processes;
import dev.satchel.linux.Userfaultfd;
import dev.satchel.pod.filter.DumpStatistics;
import dev.satchel.pod.filter.ImageFilter;
import dev.satchel.pod.filter.InterruptedWaits;
import dev.satchel.pod.filter.MessageQueues;
import dev.satchel.pod.filter.RecordLocks;
import dev.satchel.pod.filter.RemovedSegments;
import dev.satchel.pod.filter.ThreadSettingsImage;
import dev.satchel.pod.filter.TimerThreads;
import dev.satchel.pod.filter.UnreadTimerfds;
import dev.satchel.pod.filter.Zombies;
import dev.satchel.vault.ChunkStore;
import dev.satchel.vault.ChunkWriter;
import java.io.Closeable;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A session's processes, running on this host's kernel inside a private virtual namespace. Owns them and their control group, not
 * their root file system nor their network. One checkpoint, command or end at a time.
 */
public final class Pod implements AutoCloseable {
    /** The pod's side of its network; the hooks of checkpoint and restart call it. */
    public interface Plug {
        /** Connects the pod whose first process is {@code initPid}; its loopback comes up too. */
        void plug(long initPid) throws IOException;

        /** Lets no packet pass from now on; nothing inside notices. */
        void block() throws IOException;

        /** Lets packets pass again; does nothing when they do. */
        void unblock() throws IOException;

        /** Its sockets are as they were, its programs about to run: what can't go on is to be ended. */
        void restored(long initPid) throws IOException;
    }

    /** What happens to the rest of the session at a checkpoint. Called on another thread, one call at a time. */
    public interface Capture {
        /** The processes are about to be stopped. */
        void freezing() throws IOException;

        /** All processes have just been stopped. */
        void frozen() throws IOException;

        /** All of their state is in memory and they still stand still: the files' instant is now. */
        void captured() throws IOException;

        /**
         * All processes go on, those of a checkpoint that leaves them running.
         *
         * @param frozenMicros how long they stood still, microseconds
         */
        void goingOn(long frozenMicros) throws IOException;

        /**
         * Stores it. Called while the processes stand still if they are to end afterwards, so that a failure lets them go on as if
         * nothing had been; else once they go on.
         */
        void store(PendingCheckpoint checkpoint) throws IOException;
    }

    /** A checkpoint that is captured but not yet all in chunks. */
    public interface PendingCheckpoint {
        /** Waits until it is. @return what names it; durable after the writer's next commit */
        Checkpoint store() throws IOException;
    }

    /** Is told of memory that can't be read after programs were started without it; on other threads, never two at a time. */
    public interface Stalls {
        /** They go on, as none of them needs it yet. Told once until {@link #goingOn}. */
        void missing(IOException cause);

        /** All of them stand still, as one needs it. */
        void stalled(IOException cause);

        /** It was read after all; they go on if they stood still. */
        void goingOn();
    }

    private static final String DUMP_ACTIONS = "pre-dump network-lock post-dump network-unlock";
    private static final String RESTORE_ACTIONS = "setup-namespaces post-restore pre-resume";
    private static final int PASSWD_BYTES_MAX = 1 << 20;
    private static final int END_TIMEOUT_MILLIS = 10_000;

    private final String id;
    private final PodSpec spec;
    private final Path run;
    private final Path root;
    private final Cgroup cgroup;
    private final Plug network;
    private final Criu criu;
    private final Runc runc;
    private final PidFd init;
    private final WindowPrints prints;
    private boolean closed;
    private CompletableFuture<Void> imagesClosed = CompletableFuture.completedFuture(null);

    /** Of a pod that was restored before its memory was there. */
    private Optional<LazyMemory> memory = Optional.empty();

    private Pod(
            String id,
            PodSpec spec,
            Path run,
            Path root,
            Cgroup cgroup,
            Plug network,
            Criu criu,
            Runc runc,
            PidFd init,
            WindowPrints prints) {
        this.id = id;
        this.spec = spec;
        this.run = run;
        this.root = root;
        this.cgroup = cgroup;
        this.network = network;
        this.criu = criu;
        this.runc = runc;
        this.init = init;
        this.prints = prints;
    }

    /**
     * Boots a pod.
     *
     * @param id names it on this host
     * @param run a directory for what it needs while it runs; the caller's
     * @param root its root file system, mounted with ids shifted as {@code spec} has them
     * @param criu CRIU's program
     */
    public static Pod boot(String id, PodSpec spec, Path run, Path root, Plug network, Path criu) throws IOException {
        Cgroup cgroup = Cgroup.create(cgroupPath(id), spec.memoryBytes(), spec.cpus());
        Runc runc = new Runc(run);
        boolean created = false;
        try {
            runc.writeBundle(spec, root, cgroup);
            long initPid = runc.create(id, cgroup);
            created = true;
            network.plug(initPid);
            PidFd init = PidFd.open(initPid);
            try {
                runc.start(id);
                return new Pod(id, spec, run, root, cgroup, network, new Criu(criu), runc, init, new WindowPrints());
            } catch (IOException | RuntimeException e) {
                init.close();
                throw e;
            }
        } catch (IOException | RuntimeException e) {
            undo(e, created ? () -> runc.delete(id) : () -> {}, () -> cleanUp(id));
            throw e;
        }
    }

    /** A checkpoint's images, ready for CRIU to read. {@link #restore} closes them; a second call does nothing. */
    public static final class Images implements Closeable {
        private final CheckpointImages images;
        private final AtomicBoolean closed = new AtomicBoolean();

        private Images(CheckpointImages images) {
            this.images = images;
        }

        @Override
        public void close() throws IOException {
            if (closed.compareAndSet(false, true)) {
                images.close();
            }
        }
    }

    /**
     * Makes a checkpoint's images ready; depends on nothing else of the session.
     *
     * @param lazy whether programs are to run before their memory has arrived; without effect where {@link #canBeLazy} does not hold
     */
    public static Images images(Path run, ChunkStore chunks, Checkpoint checkpoint, boolean lazy) throws IOException {
        return new Images(CheckpointImages.of(run, chunks, checkpoint, lazy && canBeLazy()));
    }

    /** Whether this host's kernel can bring memory when it is touched. */
    public static boolean canBeLazy() {
        return Userfaultfd.available();
    }

    /** Brings a pod back from a checkpoint; see {@link #boot}. When this returns its programs run. */
    public static Pod restore(
            String id, PodSpec spec, Path run, Path root, Plug network, Path criu, Images images, Stalls stalls)
            throws IOException {
        Cgroup cgroup = Cgroup.create(cgroupPath(id), spec.memoryBytes(), spec.cpus());
        // While CRIU restores: it must be done only before the programs run.
        CompletableFuture<Mending> mending = CompletableFuture.supplyAsync(() -> Mending.of(images.images.directory()));
        Optional<LazyMemory> memory;
        try {
            memory = listenForMemory(run, images.images, cgroup, stalls);
        } catch (IOException | RuntimeException e) {
            undo(e, () -> cleanUp(id), images::close);
            throw e;
        }
        try (Closeable _ = memory.isPresent() ? FaultPermission.give() : () -> {};
                Hooks hooks = Hooks.start(run, RESTORE_ACTIONS, (action, initPid) -> {
                    switch (action) {
                        case "setup-namespaces" -> {
                            network.plug(initPid);
                            await(mending).queues().create(initPid, spec.idBase());
                        }
                        case "post-restore" -> await(mending).mend(cgroup, initPid);
                        case "pre-resume" -> network.restored(initPid);
                        default -> throw new IllegalStateException(action);
                    }
                })) {
            Criu program = new Criu(criu);
            long initPid = program.restore(root, images.images.directory(), run, cgroup, hooks, memory.isPresent());
            Pod pod = new Pod(
                    id,
                    spec,
                    run,
                    root,
                    cgroup,
                    network,
                    program,
                    new Runc(run),
                    PidFd.open(initPid),
                    images.images.takePrints());
            pod.memory = memory;
            // The kernel takes its time over it, and nobody waits for it but the next checkpoint.
            pod.imagesClosed = CompletableFuture.runAsync(() -> {
                try {
                    images.close();
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            });
            return pod;
        } catch (IOException | RuntimeException e) {
            undo(
                    e,
                    () -> cleanUp(id),
                    () -> {
                        if (memory.isPresent()) {
                            memory.get().close();
                        }
                    },
                    images::close);
            images.images.refusals().rethrowFor(e);
            throw e;
        }
    }

    private static Optional<LazyMemory> listenForMemory(Path run, CheckpointImages images, Cgroup cgroup, Stalls stalls)
            throws IOException {
        if (images.spaces().isEmpty()) {
            return Optional.empty();
        }
        MemoryGuard guard = MemoryGuard.of(cgroup);
        LazyMemory.Valve valve = new LazyMemory.Valve() {
            @Override
            public void missing(IOException cause) {
                stalls.missing(cause);
            }

            @Override
            public void stop(IOException cause) throws IOException {
                cgroup.freeze(true);
                stalls.stalled(cause);
            }

            @Override
            public void go() throws IOException {
                cgroup.freeze(false);
                stalls.goingOn();
            }

            @Override
            public void found() {
                stalls.goingOn();
            }
        };
        try {
            return Optional.of(LazyMemory.listen(run, images.spaces(), images.lendPages(), guard, valve));
        } catch (IOException | RuntimeException e) {
            guard.close();
            throw e;
        }
    }

    /**
     * What CRIU does not restore, or loses again, and the images tell. Done at its hook {@code post-restore}, but for message queues,
     * which are made before anything opens them: all processes and threads are there with their memory and files, wait in CRIU's own code with all signals blocked, and nobody traces them.
     */
    private record Mending(
            List<Integer> removedSegments, RecordLocks locks, ThreadSettingsImage threads, MessageQueues queues) {
        static Mending of(Path images) {
            try {
                return new Mending(
                        RemovedSegments.find(images),
                        RecordLocks.of(images),
                        ThreadSettingsImage.read(images),
                        MessageQueues.read(images));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        void mend(Cgroup cgroup, long initPid) throws IOException {
            RemovedSegments.remove(removedSegments, initPid);
            if (!locks.isEmpty()) {
                locks.set(cgroup.processes(), initPid);
            }
            if (!threads.isEmpty()) {
                threads.set(cgroup.threads(), initPid);
            }
        }
    }

    /** What is to be seen only of the processes themselves, while they stand still. */
    private List<ImageFilter> filtersOfLiving() {
        try {
            return List.of(TimerThreads.of(cgroup.processes()), ThreadSettingsImage.of(cgroup.threads()));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Waits until what a restore left behind is gone. */
    private void awaitImagesClosed() throws IOException {
        await(imagesClosed);
    }

    /** Waits until its programs have all of their memory, and depend on nobody for it. */
    public void awaitMemory() throws IOException {
        if (memory.isPresent()) {
            memory.get().complete();
        }
    }

    private static <T> T await(CompletableFuture<T> future) throws IOException {
        try {
            return future.join();
        } catch (CompletionException e) {
            if (e.getCause() instanceof UncheckedIOException cause) {
                throw cause.getCause();
            }
            throw e;
        }
    }

    private interface Undo {
        void run() throws IOException;
    }

    private static void undo(Exception because, Undo... steps) {
        // Undoing takes its time also when it is an interrupt that made it necessary.
        boolean interrupted = Thread.interrupted();
        for (Undo step : steps) {
            try {
                step.run();
            } catch (IOException | RuntimeException e) {
                because.addSuppressed(e);
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private static String cgroupPath(String id) {
        return "satchel/" + id;
    }

    /** Its first process, in the host's pid namespace. */
    public long initPid() {
        return init.pid();
    }

    /** Its processes, in the host's pid namespace. */
    public List<Long> processes() throws IOException {
        return cgroup.processes();
    }

    /** Waits for its first process to end, with which all others end. @return false when it still runs after that time */
    public boolean awaitEnd(long timeoutMillis) throws IOException {
        return init.awaitExit(timeoutMillis);
    }

    /**
     * Takes a checkpoint.
     *
     * @param before the checkpoint before, if there is one: what has not changed is not stored again
     * @param leaveRunning whether the pod goes on once it is captured; else it ends once {@code capture} has returned
     * @throws CheckpointException when something inside can't be captured; it goes on running
     */
    public void checkpoint(
            boolean leaveRunning, ChunkStore chunks, ChunkWriter writer, Optional<Checkpoint> before, Capture capture)
            throws IOException {
        CheckpointWriter.Earlier earlier = CheckpointWriter.Earlier.of(chunks, before, prints);
        awaitImagesClosed();
        // CRIU takes what is missing for what has never been touched.
        awaitMemory();
        MessageQueues queues = MessageQueues.find(init.pid());
        try (OneProcessor processor = OneProcessor.choose(init.pid());
                CheckpointImages images = CheckpointImages.empty(run);
                PageStore pages = new PageStore(images.directory());
                CheckpointWriter checkpoint =
                        new CheckpointWriter(images.directory(), chunks, writer, earlier, leaveRunning);
                ImageStream stream = new ImageStream(images.directory(), pages, checkpoint)) {
            List<CompletableFuture<List<ImageFilter>>> living = new ArrayList<>();
            List<ImageFilter> filters =
                    new ArrayList<>(List.of(new Zombies(), new InterruptedWaits(), new UnreadTimerfds(), queues));
            try (Hooks hooks = Hooks.start(run, DUMP_ACTIONS, (action, initPid) -> {
                switch (action) {
                    case "pre-dump" -> {
                        capture.freezing();
                        network.block();
                    }
                    case "network-lock" -> {
                        processor.gather(cgroup.threads());
                        // While CRIU writes: it must be done only before the processes go on.
                        living.add(CompletableFuture.supplyAsync(this::filtersOfLiving));
                        Optional<String> refusal = queues.capture(spec.idBase());
                        if (refusal.isPresent()) {
                            throw new CheckpointException(refusal.get());
                        }
                        capture.frozen();
                    }
                    case "post-dump" -> {
                        processor.scatter();
                        stream.complete();
                        if (leaveRunning) {
                            checkpoint.awaitSifted();
                        }
                        filters.addAll(await(living.getFirst()));
                        capture.captured();
                        if (!leaveRunning) {
                            capture.store(() -> checkpoint.store(filters));
                        }
                    }
                    // Only on failure, or when the pod is to go on; its processes still stand still.
                    case "network-unlock" -> {
                        processor.scatter();
                        network.unblock();
                    }
                    default -> throw new IllegalStateException(action);
                }
            })) {
                criu.dump(
                        init.pid(),
                        root,
                        images.directory(),
                        stream,
                        queues.external(),
                        hooks,
                        processor,
                        leaveRunning);
                if (leaveRunning) {
                    capture.goingOn(DumpStatistics.read(images.directory()).frozenMicros());
                    capture.store(() -> checkpoint.store(filters));
                    prints.compareWith(checkpoint.table());
                }
            } catch (IOException | RuntimeException e) {
                undo(e, network::unblock); // what failed before CRIU's own undoing began
                throw e;
            }
            if (!leaveRunning) {
                init.awaitExit(END_TIMEOUT_MILLIS);
            }
        }
    }

    /**
     * The command line that executes a command inside, to be started by whoever owns the terminal.
     *
     * @param user name or number, as the pod's own {@code /etc/passwd} has it; root when absent
     * @param desktop the environment of the desktop's programs: all of it is for commands of the same user, told by {@code HOME}, and
     *     {@code DISPLAY} and {@code LANG} for others
     */
    public List<String> execLine(
            Optional<String> user, Map<String, String> desktop, boolean terminal, List<String> command)
            throws IOException {
        runc.adopt(id, init.pid(), spec, root, cgroup);
        Account account = account(user.orElse("0"));
        boolean same = account.home().equals(desktop.get("HOME"));
        Map<String, String> environment = new LinkedHashMap<>();
        desktop.forEach((name, value) -> {
            if ((same && !OF_THE_SHELL.contains(name)) || name.equals("DISPLAY") || name.equals("LANG")) {
                environment.put(name, value);
            }
        });
        environment.putAll(spec.environment());
        environment.put("HOME", account.home());
        environment.put("USER", account.name());
        return runc.execLine(
                id, init.pid(), account.uid() + ":" + account.gid(), home(account), environment, terminal, command);
    }

    /** Where a command begins: as after a login, in the user's home; in / if that is not there. */
    private String home(Account account) throws IOException {
        String home = account.home();
        if (!home.startsWith("/")) {
            return "/";
        }
        try (Fd directory = Fd.open(root, Fd.O_PATH | Fd.O_DIRECTORY | Fd.O_CLOEXEC);
                Fd _ = directory.openInRoot(home, Fd.O_PATH | Fd.O_DIRECTORY | Fd.O_CLOEXEC, 0, true)) {
            return home;
        } catch (LinuxException e) {
            if (e.errno() == Errno.ENOENT || e.errno() == Errno.ENOTDIR) {
                return "/";
            }
            throw e;
        }
    }

    /** What says something about the shell that set it, and nothing about the desktop. */
    private static final Set<String> OF_THE_SHELL = Set.of("PWD", "OLDPWD", "SHLVL", "_");

    private record Account(String name, int uid, int gid, String home) {}

    /** passwd(5), read without following a link out of the pod. */
    private Account account(String user) throws IOException {
        boolean numeric = !user.isEmpty() && user.chars().allMatch(c -> c >= '0' && c <= '9');
        try (Fd directory = Fd.open(root, Fd.O_PATH | Fd.O_DIRECTORY | Fd.O_CLOEXEC);
                Fd file = directory.openInRoot("etc/passwd", Fd.O_RDONLY | Fd.O_CLOEXEC, 0, true);
                Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(PASSWD_BYTES_MAX);
            long length = file.pread(bytes, 0);
            String text = new String(bytes.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.UTF_8);
            for (String line : text.lines().toList()) {
                String[] fields = line.split(":", -1);
                if (fields.length >= 7 && (fields[0].equals(user) || (numeric && fields[2].equals(user)))) {
                    return new Account(fields[0], Integer.parseInt(fields[2]), Integer.parseInt(fields[3]), fields[5]);
                }
            }
        } catch (LinuxException e) {
            if (!numeric && e.errno() != Errno.ENOENT) {
                throw e;
            }
        }
        if (numeric) {
            return new Account(user, Integer.parseInt(user), Integer.parseInt(user), "/");
        }
        throw new IOException("the session has no user " + user + ": name one of its /etc/passwd");
    }

    /** Asks its first process to end everything (SIGTERM), and ends it itself after that time. */
    public void shutDown(long timeoutMillis) throws IOException {
        init.signal(Processes.SIGTERM);
        if (!init.awaitExit(timeoutMillis)) {
            end();
        }
    }

    private void end() throws IOException {
        init.signal(Processes.SIGKILL);
        if (memory.isPresent()) {
            cgroup.freeze(false); // who stands still for lack of memory would not hear it
        }
        if (!init.awaitExit(END_TIMEOUT_MILLIS)) {
            throw new IOException("the session's first process " + init.pid() + " does not end: it waits for a device");
        }
    }

    /** Ends whatever still runs and removes the control group. A second call does nothing. */
    @Override
    public void close() throws IOException {
        if (closed) {
            return;
        }
        closed = true;
        try (cgroup;
                init) {
            end();
            if (memory.isPresent()) {
                memory.get().close();
            }
            awaitImagesClosed();
        } finally {
            prints.close();
        }
    }

    /**
     * Ends what a supervisor that died left of a pod; does nothing when nothing was left.
     *
     * @param run as given to {@link #boot} or {@link #restore}
     */
    public static void cleanUp(String id, Path run) throws IOException {
        Hooks.cleanUp(run);
        cleanUp(id);
        FaultPermission.settle();
    }

    /** Ends what is in its control group. */
    private static void cleanUp(String id) throws IOException {
        Cgroup.endIfPresent(cgroupPath(id), END_TIMEOUT_MILLIS);
    }
}
