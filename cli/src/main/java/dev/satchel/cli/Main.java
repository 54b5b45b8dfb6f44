package dev.satchel.cli;

import dev.satchel.session.HeadStart;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.List;
import java.util.Set;

/** The {@code satchel} command. */
public final class Main {
    /** Who asks for no more is answered sooner alone. */
    private static final Set<String> ONLY_ASK = Set.of("--version", "-V", "--help", "-h", "help");

    private Main() {}

    /** Runs one command and exits with its code. */
    public static void main(String[] arguments) {
        if (Collections.disjoint(List.of(arguments), ONLY_ASK)) {
            HeadStart.begin();
        }
        Interruption interruption = Interruption.ofThisThread();
        Program program = new Program(
                System.getenv(),
                new FileInputStream(FileDescriptor.in),
                new FileOutputStream(FileDescriptor.out),
                new PrintStream(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8),
                SatchelFactory.HERE,
                interruption);
        interruption.exit(program.run(arguments));
    }
}
