package dev.satchel.pod.filter;

import java.io.IOException;

/**
 * Gives a zombie its own id as its thread's. CRIU 4.2.1 never fills that in (criu/cr-dump.c, dump_zombies) and writes what the memory
 * held; restoring takes it for a thread to be made.
 */
public final class Zombies implements ImageFilter {
    private static final int PSTREE_PID = 1;
    private static final int PSTREE_THREADS = 5;

    @Override
    public String name() {
        return "ids of ended processes";
    }

    @Override
    public void apply(ImageDirectory images) throws IOException {
        for (Message entry : images.tree()) {
            if (entry.numbers(PSTREE_THREADS).length == 1) {
                entry.set(PSTREE_THREADS, entry.number(PSTREE_PID));
            }
        }
    }
}
