package dev.satchel.linux;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/** Named pipes, fifo(7). Java makes none, and a process that does takes ten milliseconds. */
public final class Fifo {
    private static final MemorySegment MKFIFO = Libc.function("mkfifo");

    private Fifo() {}

    /**
     * mkfifo(3).
     *
     * @param path must not be there yet
     * @param mode permissions, less those that umask(2) takes away
     */
    public static void make(Path path, int mode) throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            if ((int) Libc.call(MKFIFO, Libc.string(arena, path.toString()), mode) < 0) {
                throw new LinuxException("mkfifo(" + path + ")", Libc.errno());
            }
        }
    }
}
