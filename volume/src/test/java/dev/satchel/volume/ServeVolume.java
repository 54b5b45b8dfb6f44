package dev.satchel.volume;

import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.SessionId;
import java.nio.file.Path;

/**
 * A process that mounts a volume, for tests that kill it and for measuring: {@code VAULT SESSION SIZE DIRECTORY MOUNTPOINT}.
 * Formats the volume if it has no log. Says {@code mounted} when it is, and unmounts when its standard input ends.
 */
final class ServeVolume {
    private ServeVolume() {}

    public static void main(String[] arguments) throws Exception {
        SessionId session = SessionId.parse(arguments[1]);
        long sizeBytes = Long.parseLong(arguments[2]);
        Path directory = Path.of(arguments[3]);
        try (TestVault vault = TestVault.open(Path.of(arguments[0]))) {
            boolean isNew = !Volume.hasLog(vault.vault(), session);
            long began = System.nanoTime();
            try (Volume volume =
                    Volume.open(vault.vault(), session, ChunkMapRef.EMPTY, sizeBytes, VolumeOptions.DEFAULT)) {
                if (isNew) {
                    MountedVolume.format(volume, directory);
                    began = System.nanoTime();
                }
                try (MountedVolume mounted = MountedVolume.mount(volume, directory, Path.of(arguments[4]))) {
                    System.out.println(
                            "mounted " + mounted.device() + " after " + (System.nanoTime() - began) / 1000 + " us");
                    int command;
                    while ((command = System.in.read()) >= 0) {
                        if (command == 's') {
                            System.out.println(volume.stats());
                        } else if (command == 'f') {
                            volume.foldAll();
                            System.out.println("folded " + volume.stats());
                        }
                    }
                }
            }
        }
    }
}
