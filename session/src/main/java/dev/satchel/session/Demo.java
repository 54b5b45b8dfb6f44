package dev.satchel.session;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * The main job, start to finish, as a person would do it: by the program's own command line, on one machine that acts as two hosts.
 * A desktop at work on host A is suspended into a vault and resumed on host B, and each of its programs is asked whether it went on.
 * All of it lies in one directory; running it again takes what is there.
 */
public final class Demo {
    private static final String SESSION = "demo";
    private static final String TEXT = "This sentence was typed on host A and never saved.";
    private static final int COMMAND_MINUTES_MAX = 30;
    private static final int WAIT_SECONDS_MAX = 120;
    private static final List<String> PROGRAMS =
            List.of("page.html", "count", "start", "look", "read-document", "objects.py");

    /** Of the kernel objects that objects.py knows: those that need few processes. The tests hold them all. */
    private static final String OBJECTS =
            "pid-tree,process-group,threads,environment,uts,umask,rlimits,seccomp,signals-pending,signalfd,"
                    + "sysv-sem,sysv-shm,sysv-msg,posix-sem,pipe,fifo,unix-stream,tcp-loopback,udp,pty,alarm,posix-timer,timerfd,sleep,clocks,"
                    + "eventfd,epoll,inotify,flock,posix-lock,ofd-lock,deleted-file,file-descriptors,inodes,mappings,memfd,futex,"
                    + "sqlite-wal,sqlite-rollback-journal";

    private final Path program;
    private final Path programs;
    private final Path directory;
    private final PrintStream out;
    private final List<String> failures = new ArrayList<>();

    /**
     * A demo.
     *
     * @param program the launcher, {@code ./satchel}
     * @param programs what it puts into the session, see {@code demo/README.md}
     * @param directory where vault, hosts and pictures are kept
     * @param out what a person reads
     */
    public Demo(Path program, Path programs, Path directory, PrintStream out) {
        this.program = program;
        this.programs = programs;
        this.directory = directory.toAbsolutePath().normalize();
        this.out = out;
    }

    private record Run(int code, String output) {}

    /** Ends what an earlier demo left running and removes its directory. */
    public void clean() throws IOException {
        if (Files.exists(directory)) {
            end();
            DirectoryTree.delete(directory);
        }
        out.println("nothing is left of the demo");
    }

    private void end() throws IOException {
        for (String host : new String[] {"a", "b"}) {
            if (Files.exists(directory.resolve(host))) {
                run(host, "rm", SESSION, "--force");
                run(host, "vault", "lock");
            }
        }
    }

    /** Plays it. @return what went wrong, a line each; empty when all went on */
    public List<String> play() throws IOException {
        prepare();
        try {
            String bootedOn = json("a", "resume", SESSION).text("session");
            step(
                    "booted '" + bootedOn
                            + "' on host A; starting Firefox, LibreOffice Writer, a terminal and a program with kernel objects");
            for (String name : PROGRAMS) {
                copyIn(name);
            }
            inside("a", "demo/start '" + TEXT + "'");
            // Last: of its timers, some are to be on their way when the processes freeze.
            inside("a", "python3 demo/objects.py start demo/objects --slack 60 --gap 60 --only " + OBJECTS);
            JsonObject beforeStored = json("a", "snapshot", SESSION);
            Map<String, String> before = look("a");
            Path pictureA = picture("a", "before.png");
            out.println("         a first snapshot took " + beforeStored.number("frozen_ms") + " ms of standing still, "
                    + beforeStored.number("total_ms") + " ms in all");

            JsonObject suspended = json("a", "suspend", SESSION);
            step("suspended on host A; its state directory holds " + listing(directory.resolve("a")));
            check(
                    "host A has nothing of the session",
                    listing(directory.resolve("a")).equals("host-id, seen"),
                    listing(directory.resolve("a")));

            json("b", "vault", "unlock");
            long typed = System.nanoTime();
            JsonObject resumed = json("b", "resume", SESSION);
            long resumeMillis = (System.nanoTime() - typed) / 1_000_000;
            step("resumed on host B, which knew nothing but the vault and its passphrase");
            TimeUnit.SECONDS.sleep(1);
            Map<String, String> after = look("b");
            Path pictureB = picture("b", "after.png");
            compare(before, after);
            timings(suspended, resumed, resumeMillis);
            out.println();
            out.println("pictures   " + pictureA);
            out.println("           " + pictureB);
            out.println("go on      the session runs on host B:");
            out.println("           export SATCHEL_VAULT=" + directory.resolve("vault") + " SATCHEL_STATE="
                    + directory.resolve("b"));
            out.println("           " + program + " ls");
            out.println("           " + program + " exec " + SESSION + " -u user -- uptime");
            out.println("           " + program + " suspend " + SESSION);
            out.println("clean up   " + program + " demo --clean --dir " + directory);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            end();
            throw new IOException("interrupted: what ran was ended", e);
        } catch (IOException | RuntimeException e) {
            end();
            throw e;
        }
        return List.copyOf(failures);
    }

    private void prepare() throws IOException {
        Files.createDirectories(
                directory, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        Path passphrase = directory.resolve("passphrase");
        if (!Files.exists(passphrase)) {
            byte[] random = new byte[16];
            new SecureRandom().nextBytes(random);
            Files.createFile(
                    passphrase, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
            Files.writeString(passphrase, HexFormat.of().formatHex(random) + "\n");
        }
        if (!Files.exists(directory.resolve("vault"))) {
            json("a", "vault", "init");
            step("made a vault in " + directory.resolve("vault") + "; its passphrase is in " + passphrase);
        }
        end();
        json("a", "vault", "unlock");
        if (!must(run("a", "image", "ls", "--json"), "image ls").contains("\"desktop\"")) {
            step("building the image 'desktop' from Debian packages: some minutes, once");
            must(run("a", "image", "build", "desktop"), "image build");
        }
        json("a", "create", SESSION, "--image", "desktop");
    }

    private void step(String what) {
        out.println("[ demo ] " + what);
        out.flush();
    }

    private static String listing(Path path) throws IOException {
        try (var files = Files.list(path)) {
            return String.join(
                    ", ",
                    files.map(file -> String.valueOf(file.getFileName()))
                            .sorted()
                            .toList());
        }
    }

    private void compare(Map<String, String> before, Map<String, String> after)
            throws IOException, InterruptedException {
        before.forEach((name, value) -> {
            if (name.startsWith("pid-")) {
                check(
                        name.substring(4) + " has the same pid",
                        value.equals(after.get(name)) && !value.isEmpty(),
                        value + " → " + after.get(name));
            }
        });
        String[] pageBefore = words(before, "page");
        String[] pageAfter = words(after, "page");
        check(
                "Firefox's page went on counting, and was not loaded again",
                pageBefore.length > 2
                        && pageAfter.length > 2
                        && pageBefore[1].equals(pageAfter[1])
                        && Long.parseLong(pageAfter[2]) > Long.parseLong(pageBefore[2]),
                String.join(" ", pageBefore) + " → " + String.join(" ", pageAfter));
        check(
                "the terminal went on counting, without a gap",
                after.getOrDefault("gaps", "").equals("0") && number(after, "count") > number(before, "count"),
                before.get("count") + " → " + after.get("count") + ", " + after.get("gaps") + " gaps");
        String document = inside("b", "demo/read-document").strip();
        check("Writer has the text that was never saved", document.equals(TEXT), "'" + document + "'");
        inside("b", "touch demo/objects/check");
        await("b", "test -e demo/objects/done");
        int passed = 0;
        for (String line : inside("b", "cat demo/objects/result").lines().toList()) {
            JsonObject result = Json.read(line.getBytes(StandardCharsets.UTF_8));
            if (result.truth("ok")) {
                passed++;
            } else {
                check("kernel object " + result.text("check"), false, result.text("detail"));
            }
        }
        check("kernel objects are as they were", passed > 0, passed + " of them");
    }

    private static String[] words(Map<String, String> look, String name) {
        return look.getOrDefault(name, "").split(" ", -1);
    }

    private static long number(Map<String, String> look, String name) {
        String text = look.getOrDefault(name, "");
        return text.isEmpty() ? -1 : Long.parseLong(text);
    }

    private void check(String what, boolean ok, String detail) {
        out.println((ok ? "    ok   " : "  FAILED ") + what + " (" + detail + ")");
        if (!ok) {
            failures.add(what + ": " + detail);
        }
    }

    private void timings(JsonObject suspended, JsonObject resumed, long resumeMillis) throws IOException {
        out.println();
        out.println("timings                                            ms  of it CRIU");
        line("suspend: programs stand still", suspended.number("frozen_ms"), suspended.number("criu_ms"));
        line("suspend: all of it durable, nothing left", suspended.number("total_ms"), suspended.number("criu_ms"));
        line("resume: from the command to programs running", resumeMillis, resumed.number("criu_ms"));
        out.println(
                "memory " + suspended.number("bytes_memory") / (1 << 20) + " MiB in " + suspended.number("processes")
                        + " processes; new in the vault " + suspended.number("bytes_new") / (1 << 20) + " MiB");
    }

    private void line(String what, long millis, long criuMillis) {
        out.println("  " + what + padded(millis, 48 - what.length()) + padded(criuMillis, 12));
    }

    private static String padded(long number, int width) {
        String digits = Long.toString(number);
        return " ".repeat(Math.max(1, width - digits.length())) + digits;
    }

    private void copyIn(String name) throws IOException {
        Process process = start(
                "a",
                "exec",
                SESSION,
                "-u",
                "user",
                "--",
                "sh",
                "-c",
                "cd && mkdir -p demo && cat >demo/" + name + " && chmod 755 demo/" + name);
        try (var in = process.getOutputStream()) {
            Files.copy(programs.resolve(name), in);
        }
        must(finish(process), "copying " + name);
    }

    /** Runs a shell command in the session as its user, in its home directory. */
    private String inside(String host, String command) throws IOException {
        return must(run(host, "exec", SESSION, "-u", "user", "--", "sh", "-c", "cd && " + command), command);
    }

    private void await(String host, String condition) throws IOException, InterruptedException {
        for (int seconds = 0; seconds < WAIT_SECONDS_MAX; seconds++) {
            if (run(host, "exec", SESSION, "-u", "user", "--", "sh", "-c", "cd && " + condition)
                            .code()
                    == 0) {
                return;
            }
            TimeUnit.SECONDS.sleep(1);
        }
        throw new IOException(
                "the session's programs did not get ready: waited " + WAIT_SECONDS_MAX + " s for '" + condition + "'");
    }

    private Map<String, String> look(String host) throws IOException {
        Map<String, String> values = new LinkedHashMap<>();
        for (String line : inside(host, "demo/look").lines().toList()) {
            int space = line.indexOf(' ');
            values.put(line.substring(0, space), line.substring(space + 1));
        }
        return values;
    }

    private Path picture(String host, String name) throws IOException {
        Path file = directory.resolve(name);
        must(run(host, "screenshot", SESSION, file.toString()), "screenshot");
        return file;
    }

    private JsonObject json(String host, String... words) throws IOException {
        String[] line = Arrays.copyOf(words, words.length + 1);
        line[words.length] = "--json";
        String output = must(run(host, line), String.join(" ", words));
        return Json.read((output.isBlank() ? "{}" : output).getBytes(StandardCharsets.UTF_8));
    }

    private static String must(Run run, String what) throws IOException {
        if (run.code() != 0) {
            throw new IOException("'" + what + "' failed with exit code " + run.code() + ": "
                    + run.output().strip());
        }
        return run.output();
    }

    private Run run(String host, String... words) throws IOException {
        Process process = start(host, words);
        process.getOutputStream().close();
        return finish(process);
    }

    private Process start(String host, String... words) throws IOException {
        List<String> line = new ArrayList<>(List.of(program.toString()));
        line.addAll(List.of(words));
        ProcessBuilder builder = new ProcessBuilder(line);
        builder.environment().put("SATCHEL_VAULT", directory.resolve("vault").toString());
        builder.environment().put("SATCHEL_STATE", directory.resolve(host).toString());
        builder.environment()
                .put("SATCHEL_PASSPHRASE_FILE", directory.resolve("passphrase").toString());
        builder.redirectError(
                ProcessBuilder.Redirect.to(directory.resolve("errors").toFile()));
        return builder.start();
    }

    private Run finish(Process process) throws IOException {
        try {
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            if (!process.waitFor(COMMAND_MINUTES_MAX, TimeUnit.MINUTES)) {
                throw new IOException("a command does not end");
            }
            int code = process.exitValue();
            return new Run(code, code == 0 ? output : output + Files.readString(directory.resolve("errors")));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        } finally {
            process.destroy();
        }
    }
}
