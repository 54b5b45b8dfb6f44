package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import dev.satchel.display.Rectangle;
import dev.satchel.display.ScreenDisplay;
import dev.satchel.display.codec.Classifier;
import dev.satchel.display.codec.Encoder;
import dev.satchel.display.web.Api;
import dev.satchel.display.web.ViewerServer;
import dev.satchel.linux.Terminal;
import dev.satchel.session.ControlRehearsal;
import dev.satchel.session.ResumeResult;
import dev.satchel.session.SuspendResult;
import dev.satchel.vault.ChunkMap;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.ChunkWriter;
import dev.satchel.vault.DirectoryBackend;
import dev.satchel.vault.Head;
import dev.satchel.vault.HeadWitness;
import dev.satchel.vault.HostId;
import dev.satchel.vault.Lease;
import dev.satchel.vault.SessionId;
import dev.satchel.vault.SnapshotDraft;
import dev.satchel.vault.SnapshotId;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VaultKey;
import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Instant;
import java.util.Enumeration;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
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
    private static final int ANSWER_BYTES_MAX = 1 << 14;

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
            ControlRehearsal.run(scratch);
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
        String copy = environment.get(GlobalOptions.VAULT) + "-copy";
        SessionId session = SessionId.random();
        goOn(environment, session);
        run(environment, "vault", "sync", copy);
        run(environment, "vault", "sync", copy, "--json");
        goOn(environment, session);
        run(environment, "vault", "sync", copy);
        run(environment, "wrong");

        SnapshotId snapshot = new SnapshotId(1, 2, 3, 4);
        print(new ResumeReport(
                new ResumeResult("work", Optional.of(snapshot), 500, 42, false, "http://127.0.0.1/", 300)));
        print(new SuspendReport(
                new SuspendResult("work", snapshot, 300, 900, 42, 1 << 20, 1 << 20, 250, 700), "suspended"));
        boolean ignored = Terminal.isTerminal(0);
        view();
    }

    /** A session stores a snapshot, without a pod: there is something to be carried to a copy. */
    private static void goOn(Map<String, String> environment, SessionId session) throws IOException {
        Path place = Path.of(environment.get(GlobalOptions.VAULT));
        byte[] passphrase = PASSPHRASE.strip().getBytes(StandardCharsets.UTF_8);
        try (VaultKey key = Vault.unlock(new DirectoryBackend(place), passphrase);
                Vault vault = Vault.open(new DirectoryBackend(place), key, HeadWitness.NONE);
                Lease lease = vault.acquire(session, HostId.random(), "rehearsal", true);
                ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain());
                Arena arena = Arena.ofConfined()) {
            Optional<Head> head = vault.head(session);
            Optional<SnapshotId> parent = head.flatMap(Head::snapshot);
            ChunkMapRef before = parent.isPresent()
                    ? vault.snapshot(parent.get()).trees().getOrDefault("volume", ChunkMapRef.EMPTY)
                    : ChunkMapRef.EMPTY;
            ChunkMap.Editor editor = ChunkMap.load(vault.chunks(), before).edit();
            for (int slot = 0; slot < 2 * ChunkMap.FANOUT; slot += ChunkMap.FANOUT - 1) {
                MemorySegment chunk = arena.allocate(ChunkRef.LENGTH_MAX);
                chunk.set(ValueLayout.JAVA_LONG, 0, System.nanoTime());
                editor.set(slot, writer.put(chunk));
            }
            ChunkMapRef stored = editor.store(writer);
            writer.commit();
            SnapshotId snapshot = vault.put(new SnapshotDraft(
                    session,
                    parent,
                    Instant.EPOCH,
                    "suspend",
                    new TreeMap<>(Map.of("volume", stored)),
                    new byte[] {'{', '}'},
                    1,
                    1));
            vault.putHead(
                    head.isPresent()
                            ? head.get().next(Optional.of(snapshot), head.get().settings())
                            : Head.first(session, "rehearsal", Optional.of(snapshot), new byte[] {'{', '}'}),
                    lease);
        }
    }

    /** What comes before a viewer's first picture: a page that is served to this process itself, and commands that are encoded. */
    private static void view() throws IOException {
        ScreenDisplay display = new ScreenDisplay(
                listener -> {
                    throw new IOException("no screen");
                },
                Classifier::classify);
        try (display;
                ViewerServer server = new ViewerServer(
                        ViewerServer.Settings.loopback("work"),
                        () -> display,
                        request -> Api.Response.json(200, "{}"));
                Encoder encoder = new Encoder()) {
            String authorization = "Authorization: Bearer " + server.secret(true) + "\r\n";
            request(server, "GET /?k=" + server.secret(true) + " HTTP/1.1\r\n");
            request(server, "GET / HTTP/1.1\r\n" + authorization);
            request(server, "GET /viewer/main.js HTTP/1.1\r\n" + authorization);
            request(server, "GET /api/session HTTP/1.1\r\n" + authorization);
            request(
                    server,
                    "GET /stream HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                            + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: satchel.1\r\n"
                            + authorization);
            int[] pixels = new int[64 * 64];
            for (int i = 0; i < pixels.length; i++) {
                pixels[i] = i * 0x10204;
            }
            Rectangle area = new Rectangle(0, 0, 64, 64);
            byte[] ignored = encoder.encode(Classifier.classify(area, pixels));
        }
    }

    /** Asks, and reads what is there of the answer. */
    private static void request(ViewerServer server, String head) throws IOException {
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.port())) {
            boolean upgrade = head.contains("Upgrade");
            socket.getOutputStream()
                    .write((head + "Host: 127.0.0.1:" + server.port() + "\r\nConnection: "
                                    + (upgrade ? "Upgrade" : "close") + "\r\n\r\n")
                            .getBytes(StandardCharsets.US_ASCII));
            int ignored = socket.getInputStream().read(new byte[ANSWER_BYTES_MAX]);
        }
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
