package dev.satchel.cli;

import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The {@code satchel} command. */
@Command(
        name = "satchel",
        description = "Your live desktop, in a bag.",
        version = "satchel 0.1.0",
        mixinStandardHelpOptions = true)
public final class Main implements Runnable {
    @Override
    public void run() {
        CommandLine.usage(this, System.out);
    }

    /** Runs one command and exits with its code. */
    public static void main(String[] args) {
        System.exit(new CommandLine(new Main()).execute(args));
    }
}
