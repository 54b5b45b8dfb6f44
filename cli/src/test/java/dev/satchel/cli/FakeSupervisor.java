package dev.satchel.cli;

import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Stands in for the program in {@link LauncherTest}: does what its second argument says, as the supervising side of the launcher's
 * protocol. The first argument is the command, which only the launcher reads.
 */
final class FakeSupervisor {
    private FakeSupervisor() {}

    public static void main(String[] args) throws Throwable {
        Path notes = Path.of(System.getProperty("notes"));
        Files.writeString(
                notes.resolve("pid"), Long.toString(ProcessHandle.current().pid()));
        Files.writeString(notes.resolve("arguments"), String.join("\n", args));
        Files.writeString(notes.resolve("status-fd"), String.valueOf(System.getenv("SATCHEL_STATUS_FD")));
        Files.writeString(notes.resolve("inherited-fds"), String.valueOf(System.getenv("SATCHEL_INHERITED_FDS")));
        Files.writeString(notes.resolve("arenas"), String.valueOf(System.getenv("MALLOC_ARENA_MAX")));
        switch (args[1]) {
            case "supervise" -> {
                System.out.println("session runs");
                letGoOfTerminal();
                try (FileOutputStream status = new FileOutputStream("/proc/self/fd/9")) {
                    status.write((args[2] + "\n").getBytes(StandardCharsets.US_ASCII));
                }
                Thread.sleep(60_000);
            }
            case "exit" -> System.exit(Integer.parseInt(args[2]));
            case "die" -> {
                new ProcessBuilder("kill", "-KILL", Files.readString(notes.resolve("pid"))).start();
                Thread.sleep(60_000);
            }
            case "undo-slowly" -> {
                Runtime.getRuntime().addShutdownHook(new Thread(() -> {
                    try {
                        Thread.sleep(500);
                    } catch (InterruptedException e) {
                        Thread.currentThread().interrupt();
                    }
                    System.out.println("undone");
                }));
                System.out.println("working");
                Thread.sleep(Long.parseLong(args[2]));
            }
            case "ask" -> {
                System.out.println("passphrase?");
                String line = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8)).readLine();
                System.out.println("got " + line
                        + (linkTarget(Path.of("/proc/self/fd/0")).startsWith("/dev/pts/") ? " from a terminal" : ""));
            }
            case "descriptors" -> {
                try (var open = Files.list(Path.of("/proc/self/fd"))) {
                    for (Path fd : (Iterable<Path>) open::iterator) {
                        String target = linkTarget(fd);
                        if (target.startsWith("pipe:")) {
                            System.out.println(fd.getFileName() + " " + target);
                        }
                    }
                }
            }
            default -> throw new IllegalArgumentException(List.of(args).toString());
        }
    }

    private static String linkTarget(Path fd) {
        try {
            return Files.readSymbolicLink(fd).toString();
        } catch (IOException e) {
            return ""; // the listing's own descriptor, closed by now
        }
    }

    /** setsid(2), and 0 to 2 to /dev/null by open(2) and dup2(2). */
    private static void letGoOfTerminal() throws Throwable {
        System.out.flush();
        Linker linker = Linker.nativeLinker();
        MethodHandle setsid = linker.downcallHandle(
                linker.defaultLookup().findOrThrow("setsid"), FunctionDescriptor.of(ValueLayout.JAVA_INT));
        MethodHandle open = linker.downcallHandle(
                linker.defaultLookup().findOrThrow("open"),
                FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_INT));
        MethodHandle dup2 = linker.downcallHandle(
                linker.defaultLookup().findOrThrow("dup2"),
                FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT));
        if ((int) setsid.invokeExact() < 0) {
            throw new IOException("setsid failed");
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment path = arena.allocateFrom("/dev/null");
            int nowhere = (int) open.invokeExact(path, 2);
            for (int fd = 0; fd <= 2; fd++) {
                if ((int) dup2.invokeExact(nowhere, fd) < 0) {
                    throw new IOException("dup2 failed");
                }
            }
        }
        if (!FileDescriptor.out.valid()) {
            throw new IOException("standard output is gone");
        }
    }
}
