package dev.satchel.session;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;

/**
 * The main job, start to finish, as a person would do it: by the program's own command line, on one machine that acts as two hosts.
 * A desktop at work on host A is suspended into a vault and resumed on host B, and each of its programs is asked whether it went on.
 *
 * <p>All of it lies in one directory; playing it again takes the vault and the image that are there, and ends what ran. When it
 * was played the session runs on host B. When it could not be played to its end, or was interrupted, nothing of it runs.
 */
public final class Demo {
    private static final String SESSION = "demo";
    private static final String TEXT = "This sentence was typed on host A and never saved.";
    private static final int WAIT_SECONDS_MAX = 120;
    private static final int REMOVALS_MAX = 3;
    private static final int NOT_FOUND = SatchelException.Kind.NOT_FOUND.exitCode();
    private static final List<String> PROGRAMS =
            List.of("page.html", "count", "start", "look", "read-document", "objects.py");

    /** All that is ever in the directory, so that no other is taken for it. */
    private static final List<String> OWN = List.of(
            "a", "b", "vault", "passphrase", "lock", "output", "errors", "before.png", "after.png", "session.log");

    /**
     * Of the kernel objects that objects.py knows: some of each kind, so that a hundred processes do not outweigh the desktop. The
     * tests hold them all. Left out is what depends on chance: {@code inodes} compares device numbers, and the disk's loop device
     * is another one where that of before is taken.
     */
    private static final String OBJECTS =
            "pid-tree,process-group,threads,environment,uts,umask,rlimits,seccomp,signals-pending,signalfd,sysv-sem,"
                    + "sysv-sem-waiter,sysv-shm,sysv-msg,posix-sem,pipe,fifo,unix-stream,unix-packets,scm-rights,tcp-loopback,udp,pty,"
                    + "alarm,itimer-real,posix-timer,timerfd,sleep,clocks,eventfd,epoll,inotify,pidfd,flock,posix-lock,posix-lock-mapped,ofd-lock,"
                    + "deleted-file,file-descriptors,tmpfs,mappings,memfd,futex,sqlite-rollback-journal,sqlite-wal,x-clipboard";

    private final Path program;
    private final Path programs;
    private final Path directory;
    private final PrintStream out;
    private final DemoHost a;
    private final DemoHost b;
    private final List<DemoResult.Check> checks = new ArrayList<>();

    /**
     * A demo.
     *
     * @param program the launcher, {@code ./satchel}
     * @param programs what it puts into the session, see {@code demo/README.md}
     * @param directory where vault, hosts and pictures are kept; made if it is not there, and nothing else may be in it
     * @param out what a person reads
     */
    public Demo(Path program, Path programs, Path directory, PrintStream out) {
        this.program = program;
        this.programs = programs;
        this.directory = directory.toAbsolutePath().normalize();
        this.out = out;
        a = new DemoHost(program, this.directory, "a");
        b = new DemoHost(program, this.directory, "b");
    }

    /** Ends what an earlier demo left running and removes its directory, vault and image included. */
    public void clean() throws IOException {
        if (Files.exists(directory)) {
            refuseForeign();
            try (FileChannel _ = lock()) {
                end();
                dismissDoorkeepers();
                DirectoryTree.delete(directory);
            } catch (InterruptedException e) {
                throw interrupted(e);
            }
        }
        out.println("nothing is left of the demo");
    }

    /**
     * Plays it.
     *
     * @return what was measured and checked; a check that failed is no exception, and the session is left running to be looked at
     * @throws IOException if it could not be played to its end; then nothing of it runs
     */
    public DemoResult play() throws IOException {
        Files.createDirectories(
                directory, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        refuseForeign();
        try (FileChannel _ = lock()) {
            try {
                return carry();
            } catch (InterruptedException e) {
                step("interrupted: ending what runs");
                endAfter(e);
                throw interrupted(e);
            } catch (IOException | RuntimeException e) {
                if (Thread.currentThread().isInterrupted()) {
                    endAfter(e);
                    throw e;
                }
                keepLog();
                endAfter(e);
                throw e;
            }
        }
    }

    private DemoResult carry() throws IOException, InterruptedException {
        prepare();
        a.json("create", SESSION, "--image", "desktop");
        a.json("resume", SESSION);
        step(
                "booted a desktop on host A; starting Firefox, LibreOffice Writer, a terminal, and a Python program that holds kernel"
                        + " objects of many kinds");
        for (String name : PROGRAMS) {
            a.feed(
                    programs.resolve(name),
                    execute("mkdir -p demo && cat >demo/" + name + " && chmod 755 demo/" + name));
        }
        inside(a, "demo/start '" + TEXT + "'");
        // Last: of its timers, some are to be on their way when the processes freeze.
        inside(
                a,
                ". /usr/lib/satchel/environment; python3 demo/objects.py start demo/objects --slack 60 --gap 60 --only "
                        + OBJECTS);
        step("a first snapshot, while it goes on: all that the image does not have is stored for the first time");
        DemoResult.Suspended first = suspended(a.json("snapshot", SESSION));
        Map<String, String> before = look(a);
        Path pictureBefore = picture(a, "before.png");

        step("suspending on host A");
        DemoResult.Suspended suspended = suspended(a.json("suspend", SESSION));
        a.json("vault", "lock");
        String left = listing(a.state());
        check("host A keeps nothing of the session", left.equals("host-id, seen"), "its state: " + left);

        step("resuming on host B, which has nothing but the vault and its passphrase");
        long unlocking = System.nanoTime();
        b.json("vault", "unlock");
        long typed = System.nanoTime();
        JsonObject json = b.json("resume", SESSION);
        long running = System.nanoTime();
        DemoResult.Resumed resumed =
                new DemoResult.Resumed(json.number("total_ms"), json.number("criu_ms"), json.text("view_url"));
        TimeUnit.SECONDS.sleep(1); // on the picture, counters are to be seen further on
        Path pictureAfter = picture(b, "after.png");
        compare(before, lookUntilItGoesOn(before));

        DemoResult result = new DemoResult(
                SESSION,
                first,
                suspended,
                resumed,
                (typed - unlocking) / 1_000_000,
                (running - typed) / 1_000_000,
                checks,
                List.of(pictureBefore, pictureAfter),
                b.exports());
        tell(result);
        return result;
    }

    private void prepare() throws IOException, InterruptedException {
        Path passphrase = directory.resolve("passphrase");
        if (!Files.exists(passphrase)) {
            byte[] random = new byte[16];
            new SecureRandom().nextBytes(random);
            Files.createFile(
                    passphrase, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
            Files.writeString(passphrase, HexFormat.of().formatHex(random) + "\n");
        }
        if (Files.exists(directory.resolve("vault"))) {
            end();
        } else {
            a.json("vault", "init");
            step("made a vault in " + directory.resolve("vault") + "; its passphrase is in " + passphrase);
        }
        a.json("vault", "unlock");
        if (!a.text("image", "ls", "--json").contains("\"desktop\"")) {
            step("building the image 'desktop' from Debian packages: some minutes, once");
            a.watch("image", "build", "desktop");
        }
    }

    // --- What must have gone on
    // -------------------------------------------------------------------------------------------------

    private void compare(Map<String, String> before, Map<String, String> after)
            throws IOException, InterruptedException {
        before.forEach((name, value) -> {
            if (name.startsWith("process-")) {
                check(
                        name.substring("process-".length()) + " is the same process",
                        !value.isEmpty() && value.equals(after.get(name)),
                        "pid, parent, group, session: " + value
                                + (value.equals(after.get(name)) ? "" : ", was; is " + after.get(name)));
            }
        });
        check(
                "Firefox's page went on counting, and was not loaded again",
                pageCountsOn(before, after),
                before.get("page") + " → " + after.get("page"));
        check(
                "the terminal went on counting, without a gap",
                countsOn(before, after) && number(after, "gaps") == 0,
                before.get("count") + " → " + after.get("count") + ", gaps: " + after.get("gaps"));
        kernelObjects();
        // After those: it takes the clipboard, which one of them holds.
        String document = inside(b, "demo/read-document").strip();
        check("Writer has the text that was never saved", document.equals(TEXT), "'" + document + "'");
    }

    private void kernelObjects() throws IOException, InterruptedException {
        inside(b, "touch demo/objects/check");
        await(b, "test -e demo/objects/done");
        int passed = 0;
        int wanted = OBJECTS.split(",", -1).length;
        for (String line : inside(b, "cat demo/objects/result").lines().toList()) {
            JsonObject result = Json.read(line.getBytes(StandardCharsets.UTF_8));
            if (result.truth("ok")) {
                passed++;
            } else {
                check("kernel object " + result.text("check") + " is as it was", false, result.text("detail"));
            }
        }
        check("the Python program's kernel objects are as they were", passed == wanted, passed + " of " + wanted);
    }

    /** What Firefox's title says: a random word that was made when the page was loaded, and how far its script has counted. */
    private record Page(String born, long count) {
        static Optional<Page> of(Map<String, String> look) {
            String[] words = look.getOrDefault("page", "").split(" ", -1);
            return words.length > 2 && isNumber(words[2])
                    ? Optional.of(new Page(words[1], Long.parseLong(words[2])))
                    : Optional.empty();
        }
    }

    /** A number that programs in the session wrote; -1 if it is none. */
    private static long number(Map<String, String> look, String name) {
        String text = look.getOrDefault(name, "");
        return isNumber(text) ? Long.parseLong(text) : -1;
    }

    private static boolean isNumber(String text) {
        return !text.isEmpty()
                && text.length() < 18
                && text.chars().allMatch(character -> character >= '0' && character <= '9');
    }

    private void check(String what, boolean ok, String detail) {
        out.println((ok ? "    ok   " : "  FAILED ") + what + " (" + detail + ")");
        checks.add(new DemoResult.Check(what, ok, detail));
    }

    // --- What it tells
    // ----------------------------------------------------------------------------------------------------------

    private void step(String what) {
        out.println("[ demo ] " + what);
    }

    private void tell(DemoResult result) {
        DemoResult.Suspended first = result.first();
        DemoResult.Suspended suspended = result.suspended();
        DemoResult.Resumed resumed = result.resumed();
        out.println();
        out.println("timings, in milliseconds                             CRIU's run");
        line("first snapshot: programs stand still", first.frozenMillis(), first.criuMillis());
        line("first snapshot: all durable", first.totalMillis(), first.criuMillis());
        line("suspend: programs stand still", suspended.frozenMillis(), suspended.criuMillis());
        line("suspend: all durable, nothing left here", suspended.totalMillis(), suspended.criuMillis());
        line("resume: from Enter to programs running", result.typedMillis(), resumed.criuMillis());
        out.println("before that, host B took " + result.unlockMillis()
                + " ms to open the vault by its passphrase, once for all commands");
        out.println("memory " + suspended.bytesMemory() / (1 << 20) + " MiB in " + suspended.processes()
                + " processes; new in the vault, compressed and sealed: first " + first.bytesNew() / (1 << 20)
                + " MiB, then " + suspended.bytesNew() / (1 << 20) + " MiB");
        out.println();
        out.println("pictures   " + result.pictures().get(0));
        out.println("           " + result.pictures().get(1));
        out.println("go on      the session runs on host B; see it, and work in it, in a browser at");
        out.println("           " + resumed.viewUrl());
        out.println("           or by commands:");
        out.println("           " + result.exports());
        out.println("           " + program + " exec " + SESSION + " -u user -t -- bash");
        out.println("           " + program + " suspend " + SESSION);
        out.println("back       once it is suspended, by the page or by that command, this carries it back to host A:");
        out.println("           SATCHEL_STATE=" + a.state() + " " + program + " resume " + SESSION);
        out.println("clean up   " + program + " demo --clean --dir " + directory);
    }

    private void line(String what, long millis, long criuMillis) {
        out.println("  " + what + padded(millis, 48 - what.length()) + padded(criuMillis, 13));
    }

    private static String padded(long number, int width) {
        String digits = Long.toString(number);
        return " ".repeat(Math.max(1, width - digits.length())) + digits;
    }

    // --- In the session
    // ---------------------------------------------------------------------------------------------------------

    private static String[] execute(String command) {
        return new String[] {"exec", SESSION, "-u", "user", "--", "sh", "-c", "cd && " + command};
    }

    /** Runs a shell command in the session as its user, in its home directory. */
    private static String inside(DemoHost host, String command) throws IOException, InterruptedException {
        return host.text(execute(command));
    }

    private static void await(DemoHost host, String condition) throws IOException, InterruptedException {
        for (int seconds = 0; seconds < WAIT_SECONDS_MAX; seconds++) {
            if (host.run(execute(condition)).code() == 0) {
                return;
            }
            TimeUnit.SECONDS.sleep(1);
        }
        throw new IOException(
                "the session's programs did not get ready: waited " + WAIT_SECONDS_MAX + " s for '" + condition + "'");
    }

    /** Looks at host B, once all that counts has gone on; or after a while that is long for any machine. */
    private Map<String, String> lookUntilItGoesOn(Map<String, String> before) throws IOException, InterruptedException {
        Map<String, String> after = look(b);
        for (int tries = 0; tries < 30 && !(countsOn(before, after) && pageCountsOn(before, after)); tries++) {
            TimeUnit.SECONDS.sleep(1);
            after = look(b);
        }
        return after;
    }

    private static boolean countsOn(Map<String, String> before, Map<String, String> after) {
        return number(before, "count") > 0 && number(after, "count") > number(before, "count");
    }

    private static boolean pageCountsOn(Map<String, String> before, Map<String, String> after) {
        Optional<Page> pageBefore = Page.of(before);
        Optional<Page> pageAfter = Page.of(after);
        return pageBefore.isPresent()
                && pageAfter.isPresent()
                && pageBefore.get().born().equals(pageAfter.get().born())
                && pageAfter.get().count() > pageBefore.get().count();
    }

    private static Map<String, String> look(DemoHost host) throws IOException, InterruptedException {
        Map<String, String> values = new LinkedHashMap<>();
        for (String line : inside(host, "demo/look").lines().toList()) {
            int space = line.indexOf(' ');
            if (space > 0) {
                values.put(line.substring(0, space), line.substring(space + 1).strip());
            }
        }
        return values;
    }

    private Path picture(DemoHost host, String name) throws IOException, InterruptedException {
        Path file = directory.resolve(name);
        host.text("screenshot", SESSION, file.toString());
        return file;
    }

    private static DemoResult.Suspended suspended(JsonObject json) throws IOException {
        return new DemoResult.Suspended(
                json.text("snapshot"),
                json.number("frozen_ms"),
                json.number("total_ms"),
                json.number("criu_ms"),
                json.number("processes"),
                json.number("bytes_memory"),
                json.number("bytes_new"));
    }

    // --- The directory, and the end
    // ---------------------------------------------------------------------------------------------

    /** So that neither a home directory is filled with hosts, nor one is removed. */
    private void refuseForeign() throws IOException {
        try (var files = Files.list(directory)) {
            for (Path file : files.toList()) {
                if (!OWN.contains(file.getFileName().toString())) {
                    throw new SatchelException(
                            SatchelException.Kind.FAILED,
                            directory + " has other things in it (" + file.getFileName()
                                    + "): give --dir a directory of the demo's own");
                }
            }
        } catch (NotDirectoryException e) {
            throw new SatchelException(
                    SatchelException.Kind.FAILED, directory + " is no directory: give --dir another", e);
        }
    }

    /** Two demos in one directory would end each other's session. Let go of when the channel is closed. */
    private FileChannel lock() throws IOException {
        FileChannel channel =
                FileChannel.open(directory.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        try {
            FileLock lock = channel.tryLock();
            if (lock != null) {
                return channel;
            }
        } catch (OverlappingFileLockException e) {
            channel.close();
            throw busy();
        }
        channel.close();
        throw busy();
    }

    private SatchelException busy() {
        return new SatchelException(
                SatchelException.Kind.IN_USE,
                "another demo is at work in " + directory + ": wait for its end, or give --dir another directory");
    }

    private static String listing(Path path) throws IOException {
        TreeSet<String> names = new TreeSet<>();
        try (var files = Files.list(path)) {
            files.forEach(file -> names.add(file.getFileName().toString()));
        } catch (NoSuchFileException e) {
            return "";
        }
        return String.join(", ", names);
    }

    private static IOException interrupted(InterruptedException e) {
        Thread.currentThread().interrupt();
        return new IOException("interrupted: nothing of the demo runs any more", e);
    }

    /** What the session said, for who looks for the cause; without it the failure itself still counts. */
    private void keepLog() {
        for (DemoHost host : new DemoHost[] {b, a}) {
            try {
                DemoHost.Run logs =
                        Files.exists(host.state()) ? host.run("logs", SESSION) : new DemoHost.Run(1, "", "");
                if (logs.code() == 0) {
                    Files.writeString(directory.resolve("session.log"), logs.output());
                    out.println("[ demo ] failed; what the session wrote is in " + directory.resolve("session.log"));
                    return;
                }
            } catch (IOException e) {
                out.println("[ demo ] the session's log could not be kept: " + e.getMessage());
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return;
            }
        }
    }

    /** Ends the session because of that, whatever this thread was told meanwhile. */
    private void endAfter(Exception cause) {
        boolean interrupted = Thread.interrupted();
        try {
            end();
        } catch (IOException e) {
            cause.addSuppressed(e);
            out.println("[ demo ] " + e.getMessage());
        } catch (InterruptedException e) {
            interrupted = true;
            out.println("[ demo ] interrupted again: the session may still run; clean up with " + program
                    + " demo --clean --dir " + directory);
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** Ends the session wherever it runs, removes it, and has both hosts forget the vault's key. */
    private void end() throws IOException, InterruptedException {
        if (!Files.exists(directory.resolve("vault"))) {
            return;
        }
        remove();
        for (DemoHost host : hosts()) {
            host.run("vault", "lock");
        }
    }

    private List<DemoHost> hosts() {
        return List.of(b, a).stream().filter(host -> Files.exists(host.state())).toList();
    }

    /** Who answers the pages by which the session was put away, on a host where it does not run any more. */
    private void dismissDoorkeepers() throws IOException {
        for (DemoHost host : hosts()) {
            Path doors = host.state().resolve("doors");
            if (Files.isDirectory(doors)) {
                try (DirectoryStream<Path> sockets = Files.newDirectoryStream(doors)) {
                    for (Path socket : sockets) {
                        Doorkeeper.Dismissal _ = Doorkeeper.dismiss(socket, Optional.of("The demo was removed."));
                    }
                }
            }
        }
    }

    private void remove() throws IOException, InterruptedException {
        String errors = "";
        // Ctrl-C goes to the whole foreground group, and a second one to this command, too.
        for (int tries = 0; tries < REMOVALS_MAX; tries++) {
            errors = "";
            // A host refuses what runs on the other.
            for (DemoHost host : hosts()) {
                DemoHost.Run removed = host.run("rm", SESSION, "--force");
                if (removed.code() == 0) {
                    return;
                }
                if (removed.code() != NOT_FOUND) {
                    errors = removed.errors().strip();
                }
            }
            if (errors.isEmpty()) {
                return;
            }
        }
        throw new IOException("the demo's session can't be removed: " + errors + "; clean up with " + program
                + " demo --clean --dir " + directory);
    }
}
