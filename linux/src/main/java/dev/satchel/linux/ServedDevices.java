package dev.satchel.linux;

import static java.util.Objects.requireNonNull;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.concurrent.CopyOnWriteArrayList;
import org.jspecify.annotations.Nullable;

/**
 * The device descriptors by which this process serves file systems to the kernel (/dev/fuse), and how its own threads may wait
 * for such a file system without danger.
 *
 * <p>A thread that waits for an answer of its own process can't be killed while it waits (in {@code mount}, {@code syncfs}, or
 * reading a page; "D" in ps). If the process is killed then, the threads that would answer die first; the kernel notices that
 * nobody serves any more when the last descriptor of the device is closed; but the waiting thread still holds the process's
 * table of descriptors: it waits for ever, and so does everybody who uses the file system. A thread with a table of its own
 * that lacks the device breaks the circle.
 *
 * <p>All of {@link Mounts}, {@link FileSystems} and {@link LoopDevice} does so by itself. Other code that touches files of a
 * file system served by its own process goes through {@link #callWithout}.
 */
public final class ServedDevices {
    private static final int CLONE_FILES = 0x400;
    private static final CopyOnWriteArrayList<Fd> DEVICES = new CopyOnWriteArrayList<>();

    private ServedDevices() {}

    /**
     * Opens a device by which this process serves from now on.
     *
     * @param flags of open(2) besides O_RDWR
     */
    public static Fd open(Path path, int flags) throws LinuxException {
        // Under the lock, so that no table is copied between opening and remembering.
        synchronized (DEVICES) {
            Fd device = Fd.open(path, Fd.O_RDWR | flags);
            DEVICES.add(device);
            return device;
        }
    }

    /** Closes it: nobody is served by it any more. */
    public static void close(Fd device) throws LinuxException {
        synchronized (DEVICES) {
            DEVICES.remove(device);
            device.close();
        }
    }

    /** What is called without the devices. */
    @FunctionalInterface
    public interface Call<T, X extends Exception> {
        /** Does it, and returns something that is not null; descriptors that it opens must be closed when it returns. */
        T call() throws X;
    }

    /**
     * Calls on a thread that holds none of the devices, and waits for it; calls directly if this process serves nothing. The
     * thread sees the descriptors that were open at the start; those that it opens vanish with it, so none may be returned.
     * Interrupting the waiting thread does not end the wait.
     */
    public static <T, X extends Exception> T callWithout(Call<T, X> call) throws X {
        if (DEVICES.isEmpty() || Thread.currentThread() instanceof Bystander<?, ?>) {
            return call.call();
        }
        Bystander<T, X> bystander = new Bystander<>(call);
        bystander.start();
        Uninterruptible.join(bystander);
        return bystander.outcome();
    }

    private static final class Bystander<T, X extends Exception> extends Thread {
        private final Call<T, X> call;
        private @Nullable T result;
        private @Nullable Throwable thrown;

        Bystander(Call<T, X> call) {
            super("satchel-bystander");
            this.call = call;
            setDaemon(true);
        }

        @Override
        public void run() {
            try {
                synchronized (DEVICES) {
                    if ((int) Libc.call(Calls.UNSHARE, CLONE_FILES) < 0) {
                        throw new IllegalStateException(new LinuxException("unshare(CLONE_FILES)", Libc.errno()));
                    }
                    for (Fd device : DEVICES) {
                        // Not Fd.close(): that would end it for everybody.
                        Libc.call(Calls.CLOSE, device.number());
                    }
                }
                result = call.call();
            } catch (Throwable t) {
                thrown = t;
            }
        }

        @SuppressWarnings("unchecked") // a call throws nothing checked but X
        T outcome() throws X {
            switch (thrown) {
                case null -> {}
                case RuntimeException e -> throw e;
                case Error e -> throw e;
                default -> throw (X) thrown;
            }
            return requireNonNull(result);
        }
    }

    private static final class Calls {
        static final MemorySegment UNSHARE = Libc.function("unshare");
        static final MemorySegment CLOSE = Libc.function("close");

        private Calls() {}
    }
}
