package dev.satchel.cli;

import dev.satchel.linux.Processes;
import dev.satchel.session.SatchelException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Parts of the program that change or end the process they are in, run as a process of their own by tests. */
final class Part {
    private Part() {}

    /** The command line that starts one. */
    static List<String> commandLine(String... arguments) {
        List<String> line = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                Part.class.getName()));
        line.addAll(List.of(arguments));
        return line;
    }

    public static void main(String[] arguments) throws Exception {
        switch (arguments[0]) {
            case "passphrase" -> passphrase(arguments[1], arguments.length > 2);
            case "replace" -> Processes.replace(List.of(arguments).subList(1, arguments.length));
            case "let-go" -> {
                System.out.println("runs");
                Launcher.waiting(System.getenv(Launcher.STATUS_FD), System.getenv(Launcher.INHERITED_FDS))
                        .orElseThrow()
                        .letGo(Path.of(arguments[1]));
                System.err.println("said");
                Thread.sleep(60_000);
            }
            case "undo" -> {
                Interruption interruption = Interruption.ofThisThread();
                System.out.println("works");
                try {
                    Thread.sleep(60_000);
                } catch (InterruptedException e) {
                    Thread.sleep(300);
                    System.out.println("undone " + interruption.came());
                }
                interruption.exit(1);
            }
            case "supervise" -> {
                Interruption interruption = Interruption.ofThisThread();
                interruption.handOver(() -> System.out.println("ended"));
                System.out.println("serves");
                Thread.sleep(60_000);
            }
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }

    /** As main does it. */
    private static void passphrase(String file, boolean isNew) throws IOException {
        Interruption interruption = Interruption.ofThisThread();
        try {
            byte[] passphrase = new Passphrases(
                            file.equals("ask") ? Optional.empty() : Optional.of(file),
                            System.in,
                            Path.of("/v"),
                            isNew,
                            Optional.empty())
                    .passphrase();
            System.out.println("got <" + new String(passphrase, StandardCharsets.UTF_8) + ">");
        } catch (SatchelException e) {
            System.out.println("failed: " + e.getMessage());
        } finally {
            interruption.done();
        }
    }
}
