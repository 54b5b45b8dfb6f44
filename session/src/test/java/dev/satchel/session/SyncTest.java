package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.linux.Fd;
import dev.satchel.vault.Replication;
import dev.satchel.vault.Vault;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** A copy of the vault that a host keeps up to date, the device that gets lost, and the one that is made of the copy. */
class SyncTest extends LiveTest {
    private static SyncRequest to(Path copy, Replication.Direction direction) {
        return new SyncRequest(Optional.of(copy), direction, List.of(), false, false);
    }

    @Test
    void aLostDeviceIsRebuiltFromTheCopyThatTheHostKeptUpToDate() throws Exception {
        Path directory = Files.createTempDirectory(site.directory(), "sync-");
        Site device = site.withCopyOfVault(directory.resolve("device")); // the one made of its copy is watched
        TestHost host = device.host();
        Path copy = directory.resolve("copy");
        String name = name("synced");
        SessionInfo created = host.create(name);
        assertThat(created.session()).isEqualTo(name);

        SyncResult first = host.with(satchel -> satchel.sync(to(copy, Replication.Direction.PUSH), true));
        assertThat(first.made()).isTrue();
        assertThat(first.auto()).isTrue();
        assertThat(first.report().chunksSent()).isPositive();

        String counted;
        AutoSync sync;
        try (Running running = host.resume(name)) {
            running.start("n=0; while true; do n=$((n+1)); echo $n >/home/user/new;"
                    + " mv /home/user/new /home/user/count; sleep 0.1; done");
            running.sh("echo kept >/home/user/note; sync");
            running.awaitFile("home/user/count");
            sync = running.supervisor.autoSync().orElseThrow();
            SuspendResult snapshot = host.with(satchel -> satchel.snapshot(name));
            Eventually.holds(
                    60_000,
                    "the snapshot is in the copy",
                    () -> Files.exists(copy.resolve("snapshots")
                            .resolve(snapshot.snapshot().toString())));
            // It runs: whoever wants it from the copy is told.
            TestHost other = site.at(copy).host();
            Eventually.holds(
                    60_000, "the copy knows that it runs", () -> other.state(name) == SessionInfo.State.ELSEWHERE);
            assertThatThrownBy(() -> other.resume(name))
                    .isInstanceOf(SatchelException.class)
                    .hasMessageContaining("another copy of this vault")
                    .hasMessageContaining("--take-over");
            SuspendResult suspended = host.with(satchel -> satchel.suspend(name));
            counted = suspended.snapshot().toString();
            assertThat(sync.finish()).isTrue();
        }
        assertThat(copy.resolve("snapshots").resolve(counted)).exists();
        SyncStatus status = host.with(Satchel::syncStatus);
        assertThat(status.bytesLeft()).contains(0L);
        assertThat(status.last()).isPresent();

        // The device is lost. Another one is made of the copy, and the session goes on there.
        DirectoryTree.delete(directory.resolve("device"));
        Path rebuilt = directory.resolve("rebuilt");
        TestHost fromCopy = site.at(copy).host();
        SyncResult made = fromCopy.with(satchel -> satchel.sync(to(rebuilt, Replication.Direction.PUSH), false));
        assertThat(made.made()).isTrue();
        Site again = alsoWatch(site.at(rebuilt));
        assertThat(again.verify().errors()).isEmpty();
        TestHost next = again.host();
        try (Running running = next.resume(name)) {
            assertThat(running.result().snapshot().orElseThrow().toString()).isEqualTo(counted);
            assertThat(running.read("home/user/note")).isEqualTo("kept\n");
            int before = Integer.parseInt(running.read("home/user/count").strip());
            Eventually.holds(
                    60_000,
                    "the program goes on counting",
                    () -> Integer.parseInt(running.read("home/user/count").strip()) > before);
            SuspendResult ignored = next.with(satchel -> satchel.suspend(name));
            assertThat(ignored.processes()).isPositive();
        }
    }

    private static boolean isIn(Path copy, SuspendResult snapshot) {
        return Files.exists(
                copy.resolve("snapshots").resolve(snapshot.snapshot().toString()));
    }

    @Test
    void aRunningSessionKeepsACopyThatIsAskedForLaterGoesAndComesBack() throws Exception {
        Path directory = Files.createTempDirectory(site.directory(), "kept-");
        Site home = alsoWatch(site.withCopyOfVault(directory.resolve("home")));
        TestHost host = home.host();
        Device stick = device(400L << 20);
        Path copy = stick.path().resolve("copy");
        String name = name("kept");
        host.create(name);
        AutoSync sync;
        Running.Count counted;
        SuspendResult suspended;
        try (Running here = host.resume(name).startCounting()) {
            assertThat(here.supervisor.autoSync()).isEmpty();
            // Asked for while the session runs: its supervisor keeps it from the next snapshot on.
            assertThat(host.with(satchel -> satchel.sync(to(copy, Replication.Direction.PUSH), true))
                            .auto())
                    .isTrue();
            SuspendResult first = here.snapshot();
            sync = here.supervisor.autoSync().orElseThrow();
            Eventually.holds(60_000, "the first snapshot is in the copy", () -> isIn(copy, first));

            // Between snapshots what the disk was folded to goes there, too.
            here.sh("head -c 24000000 /dev/urandom >/home/user/noise; sync");
            AutoSync carrying = sync;
            Eventually.holds(60_000, "what was written is in the copy", () -> carrying.carriedAhead() > 20_000_000);

            // The stick is pulled; who looks for the copy finds the place where it was.
            Eventually.holds(
                    60_000,
                    "the stick rests",
                    () -> Ran.of(List.of("umount", stick.path().toString())).code() == 0);
            SuspendResult second = here.snapshot();
            Eventually.holds(60_000, "the copy is waited for", carrying::awaitsMount);
            assertThat(host.with(Satchel::syncStatus).reachable()).isFalse();
            assertThat(copy).doesNotExist();
            // It is put in again: nothing else says that there is something to do.
            Ran.of(List.of(
                            "mount",
                            "-o",
                            "loop",
                            stick.directory().resolve("image").toString(),
                            stick.path().toString()))
                    .expect(0);
            Eventually.holds(60_000, "the second snapshot is in the copy", () -> isIn(copy, second));

            // A pack at home is damaged, and mended from the copy beside the session, as garbage is collected.
            damageAPackThatIsAlsoIn(home.vault(), copy);
            assertThat(home.verify().errors()).isNotEmpty();
            RepairResult mended = host.with(satchel -> satchel.repair(List.of(copy.toString()), false, false));
            assertThat(mended.report().actions()).isNotEmpty();
            assertThat(home.verify().errors()).isEmpty();
            assertThat(host.with(satchel -> satchel.collect(false)).bytesFreed())
                    .isNotNegative();
            counted = here.assertGoesOnFrom(here.count());

            // Ctrl-C while what is left is carried after the session has ended: the copy waits for another.
            try (Fd _ =
                    new Replicas(host.host(), home.inVault(Vault::id)).tryLock().orElseThrow()) {
                suspended = here.suspend();
                Thread.currentThread().interrupt();
                assertThatThrownBy(sync::finish)
                        .isInstanceOf(InterruptedIOException.class)
                        .hasMessageContaining("the next sync goes on");
                assertThat(Thread.interrupted()).isTrue();
            }
        }
        assertThat(isIn(copy, suspended)).isFalse();
        assertThat(host.with(satchel -> satchel.sync(to(copy, Replication.Direction.PUSH), false))
                        .report()
                        .snapshotsSent())
                .isPositive();
        assertThat(isIn(copy, suspended)).isTrue();
        assertThat(home.at(copy).verify().errors()).isEmpty();
        assertThat(home.verify().errors()).isEmpty();
        try (Running here = host.resume(name)) {
            here.assertGoesOnFrom(counted);
            assertThat(here.sh("wc -c </home/user/noise")).isEqualTo("24000000\n");
        }
    }

    /** The newest: what is in it is a snapshot's, and nothing that runs reads it. */
    private static void damageAPackThatIsAlsoIn(Path home, Path copy) throws IOException {
        Path chosen = null;
        try (Stream<Path> files = Files.walk(home.resolve("domains"))) {
            for (Path file : files.filter(Files::isRegularFile)
                    .filter(path -> path.toString().contains("/packs/"))
                    .toList()) {
                if (Files.exists(copy.resolve(home.relativize(file)))
                        && (chosen == null
                                || Files.getLastModifiedTime(file).compareTo(Files.getLastModifiedTime(chosen)) > 0)) {
                    chosen = file;
                }
            }
        }
        byte[] bytes = Files.readAllBytes(Objects.requireNonNull(chosen));
        bytes[200] ^= 1;
        Files.write(chosen, bytes);
    }
}
