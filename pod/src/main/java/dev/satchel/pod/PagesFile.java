package dev.satchel.pod;

/**
 * Where one of CRIU's pages files lies in a checkpoint's {@link Checkpoint#pages pages}.
 *
 * @param name e.g. {@code pages-3.img}
 * @param firstSlot of its first chunk
 * @param slots how many chunks it has
 */
record PagesFile(String name, long firstSlot, long slots, long sizeBytes) {}
