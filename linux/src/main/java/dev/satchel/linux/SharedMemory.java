package dev.satchel.linux;

import java.lang.foreign.MemorySegment;

/** System V shared memory, sysvipc(7), of the calling thread's IPC namespace. */
public final class SharedMemory {
    private static final int IPC_RMID = 0;

    private SharedMemory() {}

    /** Marks a segment for removal once nobody has it attached, shmctl(2); EINVAL if there is none of that id. */
    public static void remove(int id) throws LinuxException {
        if ((int) Libc.call(Calls.SHMCTL, id, IPC_RMID, 0) < 0) {
            throw new LinuxException("shmctl(" + id + ", IPC_RMID)", Libc.errno());
        }
    }

    private static final class Calls {
        static final MemorySegment SHMCTL = Libc.function("shmctl");

        private Calls() {}
    }
}
