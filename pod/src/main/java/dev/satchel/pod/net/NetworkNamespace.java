package dev.satchel.pod.net;

import dev.satchel.linux.Fd;
import dev.satchel.linux.Namespaces;
import dev.satchel.linux.Processes;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/**
 * A network namespace held by a descriptor, network_namespaces(7). What is opened while a thread is inside (sockets, files of
 * {@code /proc/sys/net}) and the processes started there belong to it, and stay so when the thread has left.
 */
final class NetworkNamespace implements Closeable {
    /** What is done inside; on a platform thread made for it. */
    @FunctionalInterface
    interface Task<T> extends Callable<T> {
        @Override
        T call() throws IOException;
    }

    private final Fd fd;

    private NetworkNamespace(Fd fd) {
        this.fd = fd;
    }

    /** A new one with nothing but a loopback interface that is down. Ends with the last descriptor, socket or process of it. */
    static NetworkNamespace create() throws IOException {
        return onThread(() -> new NetworkNamespace(Namespaces.unshare(Namespaces.Kind.NET)));
    }

    /** The one that a process is in. */
    static NetworkNamespace of(long pid) throws IOException {
        return new NetworkNamespace(Namespaces.of(pid, Namespaces.Kind.NET));
    }

    /** The one that the calling thread is in. */
    static NetworkNamespace current() throws IOException {
        return new NetworkNamespace(Fd.open(Path.of("/proc/thread-self/ns/net"), Fd.O_RDONLY));
    }

    /** A path for commands that want to be told a namespace by name; good as long as this is open and this process lives. */
    String path() {
        return "/proc/" + Processes.pid() + "/fd/" + fd.number();
    }

    /** A second descriptor, with locks of its own, flock(2). */
    Fd reopen() throws IOException {
        return Fd.open(fd.path(), Fd.O_RDONLY);
    }

    /**
     * Does it inside and waits for it. An interrupt is kept for afterwards: what is half done would be in nobody's hands. Threads that are started there
     * stay there, and so may threads that the virtual machine starts for itself, which then serve all virtual threads: nothing that
     * starts threads, virtual ones first of all, or processes is to be done inside (see {@link NetworkCommand}).
     */
    <T> T call(Task<T> task) throws IOException {
        return onThread(() -> {
            Namespaces.enter(fd, Namespaces.Kind.NET);
            return task.call();
        });
    }

    private static <T> T onThread(Task<T> task) throws IOException {
        FutureTask<T> future = new FutureTask<>(() -> {
            // Back before anybody is told of the end: whoever waits as a virtual thread may be given a new carrier by
            // this thread, which would belong to the namespace for good.
            try (Fd home = Fd.open(Path.of("/proc/thread-self/ns/net"), Fd.O_RDONLY)) {
                try {
                    return task.call();
                } finally {
                    Namespaces.enter(home, Namespaces.Kind.NET);
                }
            }
        });
        Thread.ofPlatform().name("network namespace").daemon().start(future);
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    return future.get();
                } catch (InterruptedException e) {
                    interrupted = true;
                } catch (ExecutionException e) {
                    switch (e.getCause()) {
                        case IOException cause -> throw new IOException(cause.getMessage(), cause);
                        case RuntimeException cause -> throw cause;
                        case Error cause -> throw cause;
                        case null, default -> throw new IllegalStateException(e);
                    }
                }
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    @Override
    public void close() throws IOException {
        fd.close();
    }
}
