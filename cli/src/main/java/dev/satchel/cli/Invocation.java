package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonEncoding;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import dev.satchel.linux.Terminal;
import dev.satchel.session.CheckResult;
import dev.satchel.session.Host;
import dev.satchel.session.PassphraseSource;
import dev.satchel.session.Progress;
import dev.satchel.session.Satchel;
import dev.satchel.session.SatchelException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;

/** One command being carried out: what it was given, where it prints, and the way to sessions. Closing lets go of all it opened. */
final class Invocation implements AutoCloseable {
    private final GlobalOptions globals;
    private final Map<String, String> environment;
    private final InputStream in;
    private final OutputStream out;
    private final PrintStream err;
    private final SatchelFactory factory;
    private final Interruption interruption;
    private final Supplier<CommandLine> tree;
    private @Nullable ProgressLine progress;
    private @Nullable Satchel satchel;
    private Optional<String> key = Optional.empty();

    Invocation(
            GlobalOptions globals,
            Map<String, String> environment,
            InputStream in,
            OutputStream out,
            PrintStream err,
            SatchelFactory factory,
            Interruption interruption,
            Supplier<CommandLine> tree) {
        this.globals = globals;
        this.environment = environment;
        this.in = in;
        this.out = out;
        this.err = err;
        this.factory = factory;
        this.interruption = interruption;
        this.tree = tree;
    }

    /** An environment variable; null if it is not set. */
    @Nullable
    String variable(String name) {
        return environment.get(name);
    }

    boolean json() {
        return globals.json();
    }

    Interruption interruption() {
        return interruption;
    }

    /** All commands. */
    CommandLine tree() {
        return tree.get();
    }

    // --- Sessions
    // ---------------------------------------------------------------------------------------------------------------

    Path vault() {
        return globals.vault();
    }

    /** This host, whose state directory is made at first use. */
    Host host() throws IOException {
        return Host.open(
                globals.state(),
                property("satchel.tools"),
                property("satchel.home").resolve("images"));
    }

    /** Checks what sessions need of this host. */
    List<CheckResult> doctor() throws IOException {
        return factory.doctor(host());
    }

    /** The vault seen from this host; closed when this is. */
    Satchel satchel() throws IOException {
        return satchel(false);
    }

    /** @param newPassphrase it is chosen, not known: whoever types it types it twice */
    Satchel satchel(boolean newPassphrase) throws IOException {
        Satchel open = satchel;
        if (open == null) {
            Path vault = globals.vault();
            Passphrases passphrases =
                    new Passphrases(globals.passphraseFile(), in, vault, newPassphrase, key.or(globals::key));
            open = factory.open(host(), vault, passphrases, progress(), globals.places());
            satchel = open;
        }
        return open;
    }

    /** From now on the passphrase is that key's, by label or id; nothing changes if there is none. */
    void nameKey(Optional<String> named) {
        key = named;
    }

    /** A passphrase that is chosen now, from that file, or typed twice. */
    PassphraseSource newPassphrase(Optional<String> file) {
        return new Passphrases(file, in, globals.vault(), true, Optional.empty());
    }

    private Progress progress() {
        if (json()) {
            return Progress.NONE;
        }
        boolean terminal = Terminal.isTerminal(2);
        ProgressLine line = new ProgressLine(err, terminal, terminal ? Terminal.columns(2) : 0, System::nanoTime);
        progress = line;
        return line;
    }

    /** What stands for the places that chunks are read from in the environment of another command; see {@link GlobalOptions#LOOKASIDE}. */
    Map<String, String> placesVariables() {
        return globals.placesVariables();
    }

    /** A command line to which another command can be added, that is about the same vault on the same host. */
    List<String> again() throws SatchelException {
        List<String> line = new ArrayList<>(List.of(
                property("satchel.home").resolve("satchel").toString(),
                "--state",
                globals.state().toAbsolutePath().toString(),
                "--vault",
                globals.vault().toAbsolutePath().toString()));
        if (hasPassphraseFile()) {
            line.add("--passphrase-file");
            line.add(Path.of(globals.passphraseFile().orElseThrow())
                    .toAbsolutePath()
                    .toString());
        }
        return line;
    }

    /** Whether the passphrase is in a file that is still there when this command has read it. */
    boolean hasPassphraseFile() {
        return globals.passphraseFile().isPresent()
                && Files.isRegularFile(Path.of(globals.passphraseFile().get()));
    }

    private static Path property(String name) throws SatchelException {
        String value = System.getProperty(name);
        if (value == null) {
            throw new SatchelException(
                    SatchelException.Kind.HOST_LACKS,
                    "started without its launcher, which knows where things are: run ./satchel of the checkout, or give"
                            + " java -D" + name);
        }
        return Path.of(value);
    }

    // --- What it prints
    // ---------------------------------------------------------------------------------------------------------

    /** Prints about one thing. */
    void print(Report report) throws IOException {
        if (json()) {
            ByteArrayOutputStream line = new ByteArrayOutputStream(512);
            try (JsonGenerator json = Json.FACTORY.createGenerator(line, JsonEncoding.UTF8)) {
                json.writeStartObject();
                report.fields(json);
                json.writeEndObject();
            }
            line.write('\n');
            write(line.toByteArray());
        } else {
            StringBuilder text = new StringBuilder();
            report.text(text);
            write(text);
        }
    }

    /** Prints a list, under the headings of that table. */
    void print(List<? extends Row> rows, Table table) throws IOException {
        if (json()) {
            ByteArrayOutputStream lines = new ByteArrayOutputStream(4096);
            for (Row row : rows) {
                try (JsonGenerator json = Json.FACTORY.createGenerator(lines, JsonEncoding.UTF8)) {
                    json.writeStartObject();
                    row.fields(json);
                    json.writeEndObject();
                }
                lines.write('\n');
            }
            write(lines.toByteArray());
        } else {
            for (Row row : rows) {
                table.add(row.cells());
            }
            StringBuilder text = new StringBuilder();
            table.appendTo(text);
            write(text);
        }
    }

    /** Prints text as it is. */
    void write(CharSequence text) throws IOException {
        write(text.toString().getBytes(StandardCharsets.UTF_8));
    }

    private void write(byte[] bytes) throws IOException {
        clearProgress();
        output().write(bytes, 0, bytes.length);
    }

    /** Whether standard output is a terminal. */
    boolean isTerminal() {
        return Terminal.isTerminal(1);
    }

    /** Standard output, for what a command hands through; failures say that it was standard output. */
    OutputStream output() {
        return new OutputStream() {
            @Override
            public void write(int b) throws IOException {
                write(new byte[] {(byte) b}, 0, 1);
            }

            @Override
            public void write(byte[] bytes, int from, int count) throws IOException {
                try {
                    out.write(bytes, from, count);
                    out.flush();
                } catch (IOException e) {
                    throw new IOException("can't write to standard output, " + e.getMessage(), e);
                }
            }
        };
    }

    /** Standard error, for a command that tells more than a line there. */
    PrintStream errors() {
        return err;
    }

    /** A line for people beside the result, on standard error; with {@code --json}, too. */
    void note(String line) {
        clearProgress();
        err.print("satchel: " + line + "\n");
        err.flush();
    }

    private void clearProgress() {
        ProgressLine line = progress;
        if (line != null) {
            line.clear();
        }
    }

    @Override
    public void close() throws IOException {
        Satchel open = satchel;
        satchel = null;
        try {
            if (open != null) {
                open.close();
            }
        } finally {
            clearProgress();
        }
    }

    /** Loaded by who asked for JSON only. */
    private static final class Json {
        static final JsonFactory FACTORY = new JsonFactory();

        private Json() {}
    }
}
