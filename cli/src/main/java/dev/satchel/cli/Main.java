package dev.satchel.cli;

import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/** The {@code satchel} command. */
public final class Main {
    private Main() {}

    /** Runs one command and exits with its code. */
    public static void main(String[] arguments) {
        Interruption interruption = Interruption.ofThisThread();
        Program program = new Program(
                System.getenv(),
                new FileInputStream(FileDescriptor.in),
                new FileOutputStream(FileDescriptor.out),
                new PrintStream(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8),
                SatchelFactory.HERE,
                interruption);
        int code;
        try {
            code = program.run(arguments);
        } finally {
            interruption.done();
        }
        if (interruption.handedOver()) {
            return; // the JVM ends with the last thread: the answer to `suspend` may still be on its way
        }
        // Not System.exit, which asks for a logger first, and so starts java.logging. Whoever opened something has
        // closed it by now;
        // a signal that comes meanwhile ends the JVM with its own code.
        Runtime.getRuntime().halt(code);
    }
}
