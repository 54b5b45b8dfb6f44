package dev.satchel.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;

/** Everything between the arguments and the exit code. */
final class Program {
    /** The same as in the root pom. */
    static final String VERSION = "0.1.0";

    private final Map<String, String> environment;
    private final InputStream in;
    private final OutputStream out;
    private final PrintStream err;
    private final SatchelFactory factory;
    private final Interruption interruption;

    Program(
            Map<String, String> environment,
            InputStream in,
            OutputStream out,
            PrintStream err,
            SatchelFactory factory,
            Interruption interruption) {
        this.environment = environment;
        this.in = in;
        this.out = out;
        this.err = err;
        this.factory = factory;
        this.interruption = interruption;
    }

    /** Runs one command: its exit code. */
    int run(String... arguments) {
        GlobalOptions globals = new GlobalOptions(environment);
        try {
            ParseResult parsed = parse(Commands.branch(root(globals), globals, arguments), arguments);
            ParseResult last = parsed;
            boolean help = last.isUsageHelpRequested();
            while (last.hasSubcommand()) {
                last = last.subcommand();
                help |= last.isUsageHelpRequested();
            }
            try (Invocation invocation =
                    new Invocation(globals, environment, in, out, err, factory, interruption, Program::tree)) {
                if (parsed.isVersionHelpRequested()) {
                    invocation.print(new VersionReport());
                    return 0;
                }
                if (help || !parsed.hasSubcommand()) {
                    invocation.write(HelpText.of(tree(), names(parsed)));
                    return 0;
                }
                return ((Command) last.commandSpec().userObject()).run(invocation);
            }
        } catch (IOException | RuntimeException | Error e) {
            // The last one to hear of anything: an Error, too, must come out as one line and a code.
            return fail(e, isVerbose(globals, arguments));
        }
    }

    private int fail(Throwable thrown, boolean verbose) {
        Failure failure = Failure.of(thrown);
        if (!interruption.came()) {
            err.print("satchel: " + failure.message() + "\n");
        }
        if (verbose) {
            thrown.printStackTrace(err);
        }
        err.flush();
        return failure.exitCode();
    }

    /** Also when parsing failed before it got there. */
    private static boolean isVerbose(GlobalOptions globals, String... arguments) {
        if (globals.verbose()) {
            return true;
        }
        for (String argument : arguments) {
            if (argument.equals("--")) {
                return false;
            }
            if (argument.equals("-v") || argument.equals("--verbose")) {
                return true;
            }
        }
        return false;
    }

    /** All commands, for help, completion and manual. */
    static CommandLine tree() {
        return commandLine(Commands.whole(root(new GlobalOptions(Map.of()))));
    }

    private static ParseResult parse(CommandSpec root, String... arguments) throws ParameterException {
        return commandLine(root).parseArgs(arguments);
    }

    private static CommandLine commandLine(CommandSpec root) {
        CommandLine line = new CommandLine(root);
        line.setExpandAtFiles(false); // an @ begins no file name here: NAME@SNAPSHOT
        return line;
    }

    private static CommandSpec root(GlobalOptions globals) {
        CommandSpec root = CommandSpec.create().name("satchel");
        root.usageMessage()
                .header("Your live desktop, in a bag: suspend it into an encrypted vault, resume it elsewhere")
                .description(
                        "A session is a running desktop, its files and its programs. 'suspend' writes it, encrypted and signed, into"
                                + " a vault, a directory on any disk or stick; 'resume' goes on with it on any host that"
                                + " has the vault and its passphrase.")
                .footer(
                        "satchel vault init --vault /media/stick    # make a vault",
                        "export SATCHEL_VAULT=/media/stick",
                        "satchel vault unlock                       # nothing asks for the passphrase again",
                        "satchel image build desktop                # what sessions start from",
                        "satchel create work --image desktop",
                        "satchel resume work                        # boots it",
                        "satchel suspend work                       # now the stick may be pulled");
        Map<String, String> codes = new LinkedHashMap<>();
        codes.put("0", "done");
        codes.put(Integer.toString(Failure.FAILED), "failed");
        codes.put(Integer.toString(Failure.USAGE), "wrong usage");
        codes.put(Integer.toString(Failure.NOT_FOUND), "no such vault, session, snapshot or image");
        codes.put(Integer.toString(Failure.NOT_AUTHENTIC), "wrong passphrase, or data damaged or forged");
        codes.put(Integer.toString(Failure.HOST_LACKS), "this host lacks something, 'satchel doctor' says what");
        codes.put(Integer.toString(Failure.IN_USE), "in use elsewhere");
        root.usageMessage().exitCodeList(codes);
        root.addOption(OptionSpec.builder("-V", "--version")
                .type(boolean.class)
                .arity("0")
                .versionHelp(true)
                .description("Say which version this is.")
                .build());
        globals.addTo(root);
        return root;
    }

    /** The names of the commands that were parsed, the program's own left out. */
    private static List<String> names(ParseResult parsed) {
        List<String> names = new ArrayList<>();
        for (ParseResult at = parsed; at.hasSubcommand(); at = at.subcommand()) {
            names.add(at.subcommand().commandSpec().name());
        }
        return names;
    }
}
