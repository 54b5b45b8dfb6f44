package dev.satchel.linux;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Access to files with another user's rights and no others: setfsuid(2), setfsgid(2), no supplementary groups; with a uid other than 0
 * the kernel takes the capabilities over files away as well (capabilities(7)). Only root can do so.
 *
 * @param uid as the file system that is accessed shows owners
 */
public record UserRights(int uid, int gid) {
    private static final MemorySegment SYSCALL = Libc.function("syscall");
    private static final boolean ARM = "aarch64".equals(System.getProperty("os.arch"));
    private static final int SYS_SETGROUPS = ARM ? 159 : 116;
    private static final int SYS_SETFSUID = ARM ? 151 : 122;
    private static final int SYS_SETFSGID = ARM ? 152 : 123;

    /** What is done with them: system calls, and nothing for which Java may have to load a class, which it then could not read. */
    public interface Work<T> {
        T run() throws IOException;
    }

    /** Does it on a thread of its own, which ends with it: rights are a thread's, and those given up are not taken back. */
    public <T> T call(Work<T> work) throws IOException {
        AtomicReference<@Nullable T> result = new AtomicReference<>();
        AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
        Thread thread = Thread.ofPlatform().daemon().name("as-user").start(() -> {
            try {
                become();
                result.set(work.run());
            } catch (IOException | RuntimeException | Error e) {
                failure.set(e);
            }
        });
        Uninterruptible.join(thread);
        T done = result.get();
        if (done != null) {
            return done;
        }
        switch (failure.get()) {
            case IOException e -> throw e;
            case RuntimeException e -> throw e;
            case Error e -> throw e;
            case null, default -> throw new IllegalStateException("nothing came of it");
        }
    }

    private void become() throws LinuxException {
        // By the system calls themselves: the C library would change all threads.
        if ((int) Libc.call(SYSCALL, SYS_SETGROUPS, 0, 0) < 0) {
            throw new LinuxException("setgroups(none)", Libc.errno());
        }
        set("setfsgid", SYS_SETFSGID, gid);
        set("setfsuid", SYS_SETFSUID, uid);
    }

    /** They return what was before, also if they fail; the second call tells whether it is so now. */
    private static void set(String name, int call, int id) throws LinuxException {
        int before = (int) Libc.call(SYSCALL, call, id);
        int now = (int) Libc.call(SYSCALL, call, id);
        if (now != id) {
            throw new LinuxException(name + "(" + id + "), it is " + before, Errno.EPERM);
        }
    }
}
