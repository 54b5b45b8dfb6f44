package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;

import dev.satchel.linux.fuse.FuseFile;
import dev.satchel.linux.fuse.FuseMount;
import dev.satchel.vault.Backend;
import dev.satchel.vault.DirectoryBackend;
import dev.satchel.vault.FileHeadWitness;
import dev.satchel.vault.Head;
import dev.satchel.vault.KdfParameters;
import dev.satchel.vault.SessionId;
import dev.satchel.vault.Snapshot;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VaultKey;
import dev.satchel.vault.VerifyReport;
import dev.satchel.volume.Volume;
import dev.satchel.volume.VolumeOptions;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Where sessions of tests run: a vault that holds the image {@code minimal}, and hosts that share nothing but it. One for all tests of
 * a run, in a directory of its own that goes with the JVM; a test that damages its vault, or needs it on a device of its own, takes
 * a copy. Building the image takes minutes, so the vault with nothing but the image is kept in {@code SATCHEL_TEST_CACHE} (by default
 * {@code build/test-cache}) as long as what goes into it stays the same.
 */
final class Site {
    static final String IMAGE = "minimal";
    private static final byte[] PASSPHRASE = "correct horse battery staple".getBytes(StandardCharsets.UTF_8);
    private static final PassphraseSource PASSPHRASES = PASSPHRASE::clone;

    private static Site shared;

    private final Path directory;
    private final Path vault;
    private int hosts;

    private Site(Path directory, Path vault) {
        this.directory = directory;
        this.vault = vault;
    }

    /** The one that tests share. */
    static synchronized Site shared() throws IOException {
        if (shared == null) {
            Path directory = Files.createTempDirectory(Path.of("/tmp"), "satchel-site-");
            Runtime.getRuntime().addShutdownHook(new Thread(() -> discard(directory)));
            copy(cachedVault(), directory.resolve("vault"));
            shared = new Site(directory, directory.resolve("vault"));
        }
        return shared;
    }

    private static void discard(Path directory) {
        try {
            DirectoryTree.delete(directory);
        } catch (IOException e) {
            System.err.println("a test left something in " + directory + ": " + e);
        }
    }

    /** The same hosts' machine, but another vault, which holds what this one holds now. */
    Site withCopyOfVault(Path to) throws IOException {
        copy(vault, to);
        return new Site(directory, to);
    }

    /** The same hosts' machine, and a vault that is there. */
    Site at(Path other) {
        return new Site(directory, other);
    }

    /** A new host: a state directory that nothing was in. */
    TestHost host() throws IOException {
        Path state;
        synchronized (Site.class) {
            do {
                state = directory.resolve("host" + ++hosts);
            } while (Files.exists(state));
        }
        return host(state);
    }

    TestHost host(Path state) throws IOException {
        return new TestHost(this, Host.open(state, tools(), repository().resolve("images")), PASSPHRASES);
    }

    /** Where tests may put things; goes with the JVM. */
    Path directory() {
        return directory;
    }

    Path vault() {
        return vault;
    }

    static byte[] passphrase() {
        return PASSPHRASE.clone();
    }

    /** What setup/prepare installed. */
    static Path tools() {
        String tools = System.getenv("SATCHEL_TOOLS");
        return Path.of(tools == null ? "/var/cache/satchel" : tools);
    }

    static Path repository() {
        Path directory = Path.of("").toAbsolutePath();
        while (!Files.isDirectory(directory.resolve("images"))) {
            directory = directory.getParent();
        }
        return directory;
    }

    /** A program that tests run inside sessions. */
    static Path inside(String program) {
        return repository().resolve("pod/src/test/resources/inside").resolve(program);
    }

    /** Something to be done with the vault itself, under the eyes of no host. */
    interface VaultTask<T> {
        T run(Vault vault) throws IOException;
    }

    <T> T inVault(VaultTask<T> task) throws IOException {
        Path witness = Files.createTempDirectory(directory, "witness-");
        try (Backend backend = new DirectoryBackend(vault);
                VaultKey key = Vault.unlock(backend, passphrase());
                Vault opened = Vault.open(backend, key, new FileHeadWitness(witness))) {
            return task.run(opened);
        } finally {
            DirectoryTree.delete(witness);
        }
    }

    SessionId sessionId(String name) throws IOException {
        return inVault(opened -> opened.head(name).orElseThrow().id());
    }

    List<SessionId> sessionIds() throws IOException {
        return inVault(opened -> {
            List<SessionId> ids = new ArrayList<>();
            for (Head head : opened.heads()) {
                ids.add(head.id());
            }
            return ids;
        });
    }

    VerifyReport verify() throws IOException {
        return inVault(opened -> opened.verify((done, total) -> {}));
    }

    /** Of a session that does not run: replays the file system's journal, as mounting it would, and has all of it checked. */
    void checkFileSystem(String name) throws IOException {
        Path place = Files.createTempDirectory(directory, "check-");
        Path mounted = Files.createDirectory(place.resolve("disk"));
        try {
            boolean ignored = inVault(vault -> {
                Head head = vault.head(name).orElseThrow();
                Snapshot newest = vault.snapshot(head.snapshot().orElseThrow());
                try (Volume volume = Volume.open(
                                vault,
                                head.id(),
                                Snapshots.volume(newest),
                                Snapshots.diskBytes(newest),
                                VolumeOptions.DEFAULT);
                        FuseMount disk = FuseMount.mount(
                                mounted,
                                "satchel-check",
                                Map.<String, FuseFile>of("disk", volume),
                                FuseMount.Options.DEFAULT)) {
                    String file = mounted.resolve("disk").toString();
                    // The journal is replayed and files that were deleted while open are freed, as a mount does; all
                    // else
                    // fails it.
                    assertThat(Ran.of(List.of("e2fsck", "-p", file)).code()).isIn(0, 1);
                    Ran.of(List.of("e2fsck", "-fn", file)).expect(0);
                    assertThat(disk.directory()).isEqualTo(mounted);
                }
                return true;
            });
        } finally {
            DirectoryTree.delete(place);
        }
    }

    // ---- the image

    private static Path cachedVault() throws IOException {
        String configured = System.getenv("SATCHEL_TEST_CACHE");
        Path cache = configured == null ? repository().resolve("build/test-cache") : Path.of(configured);
        Files.createDirectories(cache);
        Path kept = cache.resolve("vault-" + IMAGE + "-" + fingerprint());
        if (!Files.isDirectory(kept)) {
            Path fresh = Files.createTempDirectory(cache, "making-");
            try {
                Path vault = fresh.resolve("vault");
                try (Backend backend = new DirectoryBackend(vault)) {
                    // The default's Argon2id costs each command of each test half a second.
                    Vault.init(backend, passphrase(), KdfParameters.FOR_TESTS);
                }
                System.out.println("building the image " + IMAGE + ", once; it is kept in " + kept);
                Host host =
                        Host.open(fresh.resolve("state"), tools(), repository().resolve("images"));
                try (Satchel satchel = new Satchel(host, vault, PASSPHRASES, Progress.NONE)) {
                    satchel.buildImage(IMAGE, IMAGE);
                }
                Files.move(vault, kept, StandardCopyOption.ATOMIC_MOVE);
            } finally {
                DirectoryTree.delete(fresh);
            }
        }
        return kept;
    }

    /** Of all that an image in a vault depends on: its recipe, Debian's release, the formats, and who writes them. */
    private static String fingerprint() throws IOException {
        MessageDigest digest;
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError(e);
        }
        Path repository = repository();
        List<Path> files = new ArrayList<>(List.of(
                Path.of("/etc/os-release"),
                repository.resolve("docs/FORMAT.md"),
                repository.resolve("session/src/main/java/dev/satchel/session/ImageBuilder.java")));
        try (Stream<Path> images = Files.walk(repository.resolve("images"))) {
            images.filter(Files::isRegularFile)
                    .filter(file -> !file.startsWith(repository.resolve("images/desktop")))
                    .filter(file -> !file.endsWith("README.md"))
                    .sorted()
                    .forEach(files::add);
        }
        for (Path file : files) {
            digest.update((file.startsWith(repository) ? repository.relativize(file) : file)
                    .toString()
                    .getBytes(StandardCharsets.UTF_8));
            digest.update(Files.readAllBytes(file));
        }
        return HexFormat.of().formatHex(digest.digest(), 0, 8);
    }

    static void copy(Path from, Path to) throws IOException {
        Ran.of(List.of("cp", "--archive", "--reflink=auto", from.toString(), to.toString()))
                .expect(0);
    }
}
