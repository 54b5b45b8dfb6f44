package dev.satchel.pod;

import dev.satchel.linux.Affinity;
import dev.satchel.linux.Errno;
import dev.satchel.linux.LinuxException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Where CRIU and the threads that it holds run while it dumps them. It has one after the other carry out its own code, thousands of times, and waits
 * for each (criu/include/parasite.h, compel's cure): on two processors one of them sleeps meanwhile, and on a virtual machine to wake it
 * takes longer than what is carried out. On one processor nobody has to be woken, and the other is free for what takes the images.
 *
 * <p>What threads may run on otherwise is put back by {@link #scatter}, before they go on. Where there is only one nothing is done.
 */
final class OneProcessor implements AutoCloseable {
    private final int processor;
    private final Map<Long, Affinity> before = new LinkedHashMap<>();

    private OneProcessor(int processor) {
        this.processor = processor;
    }

    /**
     * Chooses one, and moves nobody yet.
     *
     * @param initPid whose processors the pod's are taken to be
     */
    static OneProcessor choose(long initPid) throws LinuxException {
        Affinity common = Affinity.of(initPid).and(Affinity.of(0));
        return new OneProcessor(common.count() < 2 ? -1 : common.last());
    }

    /** Has a thread of the host, and what it starts from now on, run there, for good. */
    void take(long thread) throws LinuxException {
        if (processor >= 0) {
            move(thread);
        }
    }

    /** Has threads that stand still run there until {@link #scatter}. */
    synchronized void gather(List<Long> threads) throws LinuxException {
        if (processor < 0) {
            return;
        }
        for (long thread : threads) {
            try {
                before.put(thread, Affinity.of(thread));
            } catch (LinuxException e) {
                if (e.errno() != Errno.ESRCH) {
                    throw e;
                }
                continue; // it was killed
            }
            move(thread);
        }
    }

    private void move(long thread) throws LinuxException {
        try {
            Affinity.only(processor).apply(thread);
        } catch (LinuxException e) {
            // It has ended, or its control group has other processors: then it stays there.
            if (e.errno() != Errno.ESRCH && e.errno() != Errno.EINVAL) {
                throw e;
            }
        }
    }

    @Override
    public void close() throws LinuxException {
        scatter();
    }

    /** Has those that were gathered run where they did before; does nothing the second time. */
    synchronized void scatter() throws LinuxException {
        LinuxException failure = null;
        for (Map.Entry<Long, Affinity> moved : before.entrySet()) {
            try {
                moved.getValue().apply(moved.getKey());
            } catch (LinuxException e) {
                if (e.errno() != Errno.ESRCH) {
                    failure = e;
                }
            }
        }
        before.clear();
        if (failure != null) {
            throw failure;
        }
    }
}
