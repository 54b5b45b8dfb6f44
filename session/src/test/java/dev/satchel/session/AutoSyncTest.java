package dev.satchel.session;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.satchel.vault.Backend;
import dev.satchel.vault.DirectoryBackend;
import dev.satchel.vault.Head;
import dev.satchel.vault.HeadWitness;
import dev.satchel.vault.HostId;
import dev.satchel.vault.KdfParameters;
import dev.satchel.vault.Lease;
import dev.satchel.vault.Replication;
import dev.satchel.vault.SessionId;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VaultKey;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A copy that is kept up to date, and has troubles that no mount ends. */
@Timeout(120)
class AutoSyncTest {
    private static final byte[] PASSPHRASE = "correct horse".getBytes(UTF_8);

    @TempDir
    Path directory;

    private Path home;
    private Path copy;
    private Host host;
    private Vault vault;

    @BeforeEach
    void vaultWithACopy() throws IOException {
        home = directory.resolve("home");
        copy = directory.resolve("copy");
        host = Host.open(
                directory.resolve("state"), Site.tools(), Site.repository().resolve("images"));
        Backend backend = new DirectoryBackend(home);
        Vault.init(backend, PASSPHRASE.clone(), KdfParameters.FOR_TESTS);
        try (VaultKey key = Vault.unlock(backend, PASSPHRASE.clone())) {
            vault = Vault.open(backend, key, HeadWitness.NONE);
        }
        Replicas replicas = new Replicas(host, vault.id());
        replicas.keep(copy);
        SyncResult _ = replicas.sync(
                vault,
                copy,
                new Replication.Options(Replication.Direction.PUSH, Set.of(), false, false, Replication.Pace.NONE),
                Progress.NONE);
    }

    @AfterEach
    void close() throws IOException {
        vault.close();
    }

    private Head session() throws IOException {
        Head head = Head.first(SessionId.random(), "work", Optional.empty(), "{}".getBytes(UTF_8));
        try (Lease lease = vault.acquire(head.id(), new HostId(1, 2), "here", false)) {
            vault.putHead(head, lease);
        }
        return head;
    }

    @Test
    void whatFailedIsTriedAgainByItself() throws IOException {
        Path head = copy.resolve("sessions").resolve(session().id() + "/head");
        // Nothing can be written there.
        Files.deleteIfExists(copy.resolve(".tmp"));
        Files.createFile(copy.resolve(".tmp"));
        try (AutoSync sync = AutoSync.begin(host, vault, home, 50).orElseThrow()) {
            Eventually.holds(60_000, "it fails", () -> failure().isPresent());
            assertThat(sync.isDue()).isTrue();
            assertThat(head).doesNotExist();
            Files.delete(copy.resolve(".tmp"));
            Eventually.holds(60_000, "the session is in the copy", () -> Files.exists(head) && !sync.isDue());
            assertThat(failure()).isEmpty();
        }
    }

    private Optional<String> failure() throws IOException {
        return new Replicas(host, vault.id()).status(vault).failure();
    }

    /** As one on a share whose server does not answer. */
    @Test
    void aCopyThatHangsKeepsNobody() throws Exception {
        Path there = copy.resolve("vault");
        Files.delete(there);
        assertThat(new ProcessBuilder(List.of("mkfifo", there.toString()))
                        .start()
                        .waitFor())
                .isZero();
        AutoSync sync = AutoSync.begin(host, vault, home, 50).orElseThrow();
        Eventually.holds(60_000, "it looks for the copy", AutoSyncTest::looksForTheCopy);
        sync.close();
        assertThat(looksForTheCopy()).isTrue();
        try (var _ = Files.newOutputStream(there)) {
            Eventually.holds(60_000, "it ends", () -> !looksForTheCopy());
        }
    }

    private static boolean looksForTheCopy() {
        return Thread.getAllStackTraces().values().stream()
                .flatMap(Stream::of)
                .anyMatch(frame -> frame.getMethodName().equals("isReachable"));
    }
}
