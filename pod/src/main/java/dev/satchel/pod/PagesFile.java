package dev.satchel.pod;

import java.io.IOException;

/**
 * Where one of CRIU's pages files lies in a checkpoint's {@link Checkpoint#pages pages}.
 *
 * @param name e.g. {@code pages-3.img}
 * @param firstSlot of its first window
 * @param slots how many slots it has, {@link PageWindows#SLOTS} a window
 */
record PagesFile(String name, long firstSlot, long slots, long sizeBytes) {
    private static final String PREFIX = "pages-";
    private static final String SUFFIX = ".img";

    PagesFile(long id, long firstSlot, long slots, long sizeBytes) {
        this(name(id), firstSlot, slots, sizeBytes);
    }

    static String name(long id) {
        return PREFIX + id + SUFFIX;
    }

    /** The first slot behind it. */
    long endSlot() {
        return firstSlot + slots;
    }

    /** Its number, by which a pagemap names it. */
    long id() throws IOException {
        try {
            if (name.startsWith(PREFIX) && name.endsWith(SUFFIX)) {
                return Long.parseLong(name.substring(PREFIX.length(), name.length() - SUFFIX.length()));
            }
        } catch (NumberFormatException e) {
            throw new IOException("the checkpoint has a pages file with a name of another kind: " + name, e);
        }
        throw new IOException("the checkpoint has a pages file with a name of another kind: " + name);
    }
}
