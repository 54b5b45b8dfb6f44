package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.vault.Replication;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
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
            running.start("n=0; while true; do n=$((n+1)); echo $n >/home/user/count; sleep 0.1; done");
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
            Eventually.holds(20_000, "the program goes on counting", () -> {
                String text = running.read("home/user/count").strip();
                return !text.isEmpty() && Integer.parseInt(text) > before;
            });
            SuspendResult ignored = next.with(satchel -> satchel.suspend(name));
            assertThat(ignored.processes()).isPositive();
        }
    }
}
