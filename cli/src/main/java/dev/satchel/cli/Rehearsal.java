package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import dev.satchel.linux.Terminal;
import dev.satchel.session.ResumeResult;
import dev.satchel.session.SuspendResult;
import dev.satchel.vault.SnapshotId;
import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Enumeration;
import java.util.Map;
import java.util.Optional;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.jspecify.annotations.Nullable;

/**
 * What the start-up cache is trained with (JEP 483, 514): commands as they are typed, on a vault in a temporary directory, so that
 * the classes they need come out of the cache loaded and linked. Nothing outside of that directory is touched, so that the parts that
 * need mounts, namespaces and the keyring are only loaded, not run.
 */
public final class Rehearsal {
    private static final String PASSPHRASE = "rehearsal\n";
    private static final String CLASS = ".class";

    private Rehearsal() {}

    /** Rehearses; called by setup/prepare with the same Java options as the program. */
    public static void main(String[] arguments) throws IOException, ClassNotFoundException {
        loadOwnClasses();
        Path scratch = Files.createTempDirectory("satchel-rehearsal-");
        Interruption.ofThisThread().done();
        try {
            rehearse(Map.of(
                    GlobalOptions.VAULT, scratch.resolve("vault").toString(),
                    GlobalOptions.STATE, scratch.resolve("state").toString(),
                    GlobalOptions.PASSPHRASE_FILE, "-"));
        } finally {
            remove(scratch);
        }
    }

    private static void rehearse(Map<String, String> environment) throws IOException {
        System.getenv();
        run(environment, "--version");
        run(environment, "--help");
        run(environment, "resume", "--help");
        run(environment, "vault", "init");
        run(environment, "-v", "vault", "info", "--json");
        // These end in "no such session", after all that comes before it.
        run(environment, "create", "work", "--image", "desktop", "--disk", "8G", "-e", "A=b");
        run(environment, "resume", "work", "--at", "0");
        run(environment, "suspend", "work");
        run(environment, "exec", "work", "-u", "user", "--", "true");
        run(environment, "ls");
        run(environment, "ls", "--json");
        run(environment, "image", "ls");
        run(environment, "vault", "verify");
        run(environment, "wrong");

        SnapshotId snapshot = new SnapshotId(1, 2, 3, 4);
        print(new ResumeReport(
                new ResumeResult("work", Optional.of(snapshot), 500, 42, false, "http://127.0.0.1/", 300)));
        print(new SuspendReport(new SuspendResult("work", snapshot, 300, 900, 42, 1 << 20, 1 << 20, 250), "suspended"));
        boolean ignored = Terminal.isTerminal(0);
    }

    private static void run(Map<String, String> environment, String... arguments) {
        PrintStream nowhere = new PrintStream(OutputStream.nullOutputStream(), true, StandardCharsets.UTF_8);
        int ignored = new Program(
                        environment,
                        new ByteArrayInputStream(PASSPHRASE.getBytes(StandardCharsets.UTF_8)),
                        OutputStream.nullOutputStream(),
                        nowhere,
                        SatchelFactory.HERE,
                        new Interruption(Thread.currentThread()))
                .run(arguments);
    }

    private static void print(Report report) throws IOException {
        report.text(new StringBuilder());
        try (JsonGenerator json = new JsonFactory().createGenerator(OutputStream.nullOutputStream())) {
            json.writeStartObject();
            report.fields(json);
            json.writeEndObject();
        }
    }

    /** Loads each class of the program without initializing it. */
    private static void loadOwnClasses() throws IOException, ClassNotFoundException {
        ClassLoader loader = Rehearsal.class.getClassLoader();
        for (String entry : System.getProperty("java.class.path").split(File.pathSeparator, -1)) {
            if (!Path.of(entry).getFileName().toString().startsWith("satchel-")) {
                continue;
            }
            try (ZipFile jar = new ZipFile(entry)) {
                for (Enumeration<? extends ZipEntry> files = jar.entries(); files.hasMoreElements(); ) {
                    String name = files.nextElement().getName();
                    if (name.endsWith(CLASS) && !name.endsWith("-info.class")) {
                        Class.forName(
                                name.substring(0, name.length() - CLASS.length())
                                        .replace('/', '.'),
                                false,
                                loader);
                    }
                }
            }
        }
    }

    private static void remove(Path tree) throws IOException {
        Files.walkFileTree(tree, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
                Files.delete(file);
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult postVisitDirectory(Path directory, @Nullable IOException failed) throws IOException {
                Files.delete(directory);
                return FileVisitResult.CONTINUE;
            }
        });
    }
}
