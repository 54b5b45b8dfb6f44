package dev.satchel.session;

import dev.satchel.vault.SessionId;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** A device of its own for a test that fills it up: an ext4 in a file, mounted. */
record Device(Path directory) implements AutoCloseable {
    private static final String FILLER = "filler";

    static Device make(Path parent, long sizeBytes) throws IOException {
        Device device = new Device(Files.createTempDirectory(parent, "device-"));
        Files.createDirectory(device.path());
        String image = device.directory.resolve("image").toString();
        Ran.of(List.of("truncate", "-s", Long.toString(sizeBytes), image)).expect(0);
        Ran.of(List.of("mke2fs", "-q", "-t", "ext4", "-m", "0", image)).expect(0);
        Ran.of(List.of("mount", "-o", "loop", image, device.path().toString())).expect(0);
        return device;
    }

    /** Where it is mounted. */
    Path path() {
        return directory.resolve("mounted");
    }

    /** Fills it up but for so much. */
    void fill(long freeBytes) throws IOException {
        for (int i = 0; Files.getFileStore(path()).getUsableSpace() > freeBytes && i < 100; i++) {
            long more = Files.getFileStore(path()).getUsableSpace() - freeBytes;
            Path filler = path().resolve(FILLER + i);
            // What is left is too little for the file's own blocks at some time.
            Ran ignored = Ran.of(List.of("fallocate", "-l", Long.toString(more), filler.toString()));
        }
    }

    void empty() throws IOException {
        for (Path file : list(path())) {
            if (file.getFileName().toString().startsWith(FILLER)) {
                Files.delete(file);
            }
        }
    }

    /** What writers left in the vault that did not come to an end, and what there is of a session's log. */
    List<Path> abandoned(SessionId session) throws IOException {
        List<Path> left = new ArrayList<>(list(path().resolve("vault/.tmp")));
        left.addAll(list(path().resolve("vault/log").resolve(session.toString())));
        return left;
    }

    private static List<Path> list(Path directory) throws IOException {
        if (!Files.isDirectory(directory)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(directory)) {
            return files.toList();
        }
    }

    @Override
    public void close() throws IOException {
        Ran.of(List.of("umount", path().toString())).expect(0);
        DirectoryTree.delete(directory);
    }
}
