package dev.satchel.pod.filter;

import dev.satchel.linux.Namespaces;
import dev.satchel.linux.SharedMemory;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * System V shared memory that was removed while it was attached, as MIT-SHM's is: it ends with the last process that has it. CRIU
 * 4.2.1 notes that in the image but restores a segment that stays for ever and whose memory a session would keep.
 */
public final class RemovedSegments {
    private static final int MAGIC_SHM = 0x46283044;

    // ipc_shm_entry and ipc_desc_entry, images/ipc-shm.proto and images/ipc-desc.proto
    private static final int SHM_DESCRIPTION = 1;
    private static final int DESCRIPTION_MODE = 6;
    private static final int DESCRIPTION_ID = 7;

    /** In the mode of a segment that is to be removed, linux/shm.h. */
    private static final int SHM_DEST = 01000;

    private RemovedSegments() {}

    /** Their ids, as the images in {@code directory} have them. */
    public static List<Integer> find(Path directory) throws IOException {
        List<Integer> ids = new ArrayList<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
            for (Path file : files) {
                if (!String.valueOf(file.getFileName()).startsWith("ipcns-shm-")) {
                    continue;
                }
                for (Message segment : ImageFile.read(file, MAGIC_SHM).messages()) {
                    Message description = segment.message(SHM_DESCRIPTION)
                            .orElseThrow(() -> new IOException(file + " has a segment without a description"));
                    if ((description.number(DESCRIPTION_MODE) & SHM_DEST) != 0) {
                        ids.add((int) description.number(DESCRIPTION_ID));
                    }
                }
            }
        }
        return ids;
    }

    /**
     * Removes them again, once all who have them attached have.
     *
     * @param pid a process in their IPC namespace
     */
    public static void remove(List<Integer> ids, long pid) throws IOException {
        if (ids.isEmpty()) {
            return;
        }
        Namespaces.within(pid, Namespaces.Kind.IPC, () -> {
            for (int id : ids) {
                SharedMemory.remove(id);
            }
            return ids;
        });
    }
}
