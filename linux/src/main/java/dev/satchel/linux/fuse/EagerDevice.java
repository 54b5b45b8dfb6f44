package dev.satchel.linux.fuse;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.satchel.linux.Errno;
import dev.satchel.linux.Fd;
import dev.satchel.linux.Libc;
import dev.satchel.linux.LinuxException;
import dev.satchel.linux.ServedDevices;
import java.io.Closeable;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A second way to the requests of a connection, which does not wait when there are none. While requests come close behind each
 * other, one of the serving threads looks for the next one for a little while instead of going to sleep: on a virtual machine,
 * waking a thread on a sleeping processor takes longer than serving 4 KiB. The others sleep in the kernel as ever, so that there is
 * always somebody to be woken.
 *
 * <p>It gives way to whoever else wants the processor, and ends as soon as requests come less closely: {@link #WATCH_NANOS} without
 * one, and none of it until {@link #CLOSE_MIN} have come so closely again.
 */
final class EagerDevice implements Closeable {
    /** linux/fuse.h: _IOR(229, 0, uint32_t) */
    private static final long FUSE_DEV_IOC_CLONE = 0x8004e500L;

    /** How long after an answer the next request is looked for, and within what it counts as close. */
    private static final long WATCH_NANOS = 50_000;

    /** So many close requests in a row make it worth while. */
    private static final int CLOSE_MIN = 8;

    private static final MemorySegment READ = Libc.function("read");
    private static final MemorySegment IOCTL = Libc.function("ioctl");
    private static final MemorySegment YIELD = Libc.function("sched_yield");

    private final Fd device;
    private final AtomicBoolean watched = new AtomicBoolean();

    /** Hints, so races don't matter. */
    private volatile long answeredNanos;

    private final AtomicInteger closeInARow = new AtomicInteger();

    private final AtomicLong found = new AtomicLong();

    private EagerDevice(Fd device) {
        this.device = device;
    }

    /** Makes one beside a device that is mounted. */
    static EagerDevice of(Fd mounted, Path path) throws LinuxException {
        Fd device = ServedDevices.open(path, Fd.O_NONBLOCK);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment number = arena.allocateFrom(JAVA_INT, mounted.number());
            if ((int) Libc.call(IOCTL, device.number(), FUSE_DEV_IOC_CLONE, number.address()) < 0) {
                throw new LinuxException("ioctl(" + device + ", FUSE_DEV_IOC_CLONE)", Libc.errno());
            }
            return new EagerDevice(device);
        } catch (LinuxException | RuntimeException | Error e) {
            ServedDevices.close(device);
            throw e;
        }
    }

    /** Answers to requests that came from here go here. */
    int number() {
        return device.number();
    }

    /** A request has come, from wherever. */
    void came() {
        if (System.nanoTime() - answeredNanos > WATCH_NANOS) {
            closeInARow.set(0);
        } else if (closeInARow.get() < CLOSE_MIN) {
            closeInARow.getAndIncrement();
        }
    }

    /** It has been answered. */
    void answered() {
        answeredNanos = System.nanoTime();
    }

    /**
     * Looks for a request, if that is worth while and nobody else does.
     *
     * @return what read(2) returned; 0 if there was none, or it failed: then the other way tells why
     */
    long watch(long address, long size) {
        if (closeInARow.get() < CLOSE_MIN || !watched.compareAndSet(false, true)) {
            return 0;
        }
        try {
            long until = System.nanoTime() + WATCH_NANOS;
            do {
                long n = Libc.call(READ, device.number(), address, size);
                if (n > 0) {
                    found.getAndIncrement();
                    return n;
                }
                if (n == 0 || Libc.errno() != Errno.EAGAIN) {
                    return 0;
                }
                Libc.call(YIELD);
            } while (System.nanoTime() < until);
            closeInARow.set(0);
            return 0;
        } finally {
            watched.set(false);
        }
    }

    /** How many requests were found without sleeping. */
    long found() {
        return found.get();
    }

    @Override
    public void close() throws LinuxException {
        ServedDevices.close(device);
    }
}
