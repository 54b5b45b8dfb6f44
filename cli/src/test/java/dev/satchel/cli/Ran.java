package dev.satchel.cli;

import dev.satchel.session.CheckResult;
import dev.satchel.session.Host;
import dev.satchel.session.PassphraseSource;
import dev.satchel.session.Progress;
import dev.satchel.session.Satchel;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** A command run in this process, and what came of it. */
record Ran(int exitCode, String out, String err) {
    /** Runs it with that door to sessions; the state directory is {@code state} unless the arguments or variables say otherwise. */
    static Ran with(SatchelFactory factory, Path state, Map<String, String> variables, String... arguments) {
        return in(Path.of("/nowhere/home"), factory, state, variables, arguments);
    }

    /** The same with {@code home} for the checkout. */
    static Ran in(Path home, SatchelFactory factory, Path state, Map<String, String> variables, String... arguments) {
        System.setProperty("satchel.tools", "/nowhere/tools");
        System.setProperty("satchel.home", home.toString());
        Map<String, String> environment = new HashMap<>(variables);
        environment.putIfAbsent("SATCHEL_STATE", state.toString());
        environment.putIfAbsent("SATCHEL_VAULT", "/nowhere/vault");
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        int code = new Program(
                        environment,
                        new ByteArrayInputStream(new byte[0]),
                        out,
                        new PrintStream(err, true, StandardCharsets.UTF_8),
                        factory,
                        new Interruption(Thread.currentThread()))
                .run(arguments);
        return new Ran(code, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
    }

    /** A door that lets nobody through. */
    static SatchelFactory failing(Exception failure) {
        return new SatchelFactory() {
            @Override
            public Satchel open(Host host, Path vault, PassphraseSource passphrase, Progress progress)
                    throws IOException {
                throw fail();
            }

            @Override
            public List<CheckResult> doctor(Host host) throws IOException {
                throw fail();
            }

            private RuntimeException fail() throws IOException {
                if (failure instanceof IOException io) {
                    throw io;
                }
                throw (RuntimeException) failure;
            }
        };
    }

    /** A door that nobody may knock at. */
    static SatchelFactory untouched() {
        return failing(new AssertionErrorInDisguise());
    }

    static final class AssertionErrorInDisguise extends RuntimeException {
        private static final long serialVersionUID = 1;

        AssertionErrorInDisguise() {
            super("sessions were asked for");
        }
    }
}
