package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.io.Closeable;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * A thread of another process that stands still and makes system calls for us, ptrace(2): for what the kernel lets nobody do but the
 * process itself. Closing it lets the thread go on as if nothing had been: its registers, signal mask and memory are what they were,
 * and a system call that it waited in is waited in again. On x86-64, and only for programs of 64 bits.
 *
 * <p>All calls, closing included, must come from the platform thread that stopped it: to ptrace(2) that thread is the tracer. Should
 * it end without closing, the kernel lets the tracee go, with whatever registers it then has. A process that this JVM started is none
 * for it: who waits for that one's end (as {@link Process} does) is told of its stops instead of the tracer.
 */
public final class Tracee implements Closeable {
    private static final int PTRACE_CONT = 7;
    private static final int PTRACE_GETREGS = 12;
    private static final int PTRACE_SETREGS = 13;
    private static final int PTRACE_DETACH = 17;
    private static final int PTRACE_SYSCALL = 24;
    private static final int PTRACE_SEIZE = 0x4206;
    private static final int PTRACE_INTERRUPT = 0x4207;
    private static final int PTRACE_GETSIGMASK = 0x420a;
    private static final int PTRACE_SETSIGMASK = 0x420b;
    private static final int PTRACE_O_TRACESYSGOOD = 1;
    private static final int PTRACE_EVENT_STOP = 128;
    private static final int WALL = 0x40000000;

    private static final int SIGTRAP = 5;
    /** As PTRACE_O_TRACESYSGOOD marks the stops of system calls. */
    private static final int SYSCALL_STOP = SIGTRAP | 0x80;

    // struct user_regs_struct, x86-64's asm/user_64.h: 27 registers of 8 bytes
    private static final int REGISTERS = 27;
    private static final int R10 = 7;
    private static final int R9 = 8;
    private static final int R8 = 9;
    private static final int AX = 10;
    private static final int DX = 12;
    private static final int SI = 13;
    private static final int DI = 14;
    private static final int ORIG_AX = 15;
    private static final int IP = 16;
    private static final int CS = 17;
    private static final int SP = 19;

    private static final int CS_32_BITS = 0x23;
    private static final short SYSCALL_INSTRUCTION = 0x050f; // 0f 05
    private static final int SYSCALL_BYTES = 2;

    /** Below the stack pointer, and the program's own (System V ABI §3.2.2). */
    private static final int RED_ZONE_BYTES = 128;

    private static final int SIGSET_BYTES = 8; // the kernel's
    private static final int ARGUMENTS_MAX = 6;
    private static final int STOPS_MAX = 200;
    private static final long RUN_NANOS = 100_000;

    private final long thread;
    private final long tracer = Thread.currentThread().threadId();
    private final Arena arena = Arena.ofConfined();
    private final MemorySegment registers = arena.allocate(REGISTERS * 8L, 8);
    private final MemorySegment working = arena.allocate(REGISTERS * 8L, 8);
    private final MemorySegment signals = arena.allocate(SIGSET_BYTES, 8);
    private final MemorySegment status = arena.allocate(JAVA_INT);
    private boolean stopped;
    private boolean ended;
    private boolean masked;

    private Tracee(long thread) {
        this.thread = thread;
    }

    /** Whether this machine's processor is one for which it works. */
    public static boolean supported() {
        return "amd64".equals(System.getProperty("os.arch"));
    }

    /**
     * Stops a thread where it is in a system call, or has just left one. One that computes is let run on for a while until it makes
     * one. Waits for it: a thread in uninterruptible sleep stops when that ends.
     *
     * @param thread its id (a process's id for its first thread) in the caller's pid namespace
     * @throws LinuxException if it can't be traced: EPERM without CAP_SYS_PTRACE over it or when it has a tracer already, ESRCH when
     *     it is gone
     * @throws IOException if it ended, makes no system call, or is a program of 32 bits
     */
    public static Tracee stop(long thread) throws IOException {
        if (!supported()) {
            throw new UnsupportedOperationException("system calls in another process's place are made on x86-64 only");
        }
        if (Thread.currentThread().isVirtual()) {
            throw new IllegalStateException("a virtual thread has no tracer's identity");
        }
        Tracee tracee = new Tracee(thread);
        try {
            tracee.ptrace(PTRACE_SEIZE, "PTRACE_SEIZE", 0, PTRACE_O_TRACESYSGOOD);
            tracee.stopAtCall();
        } catch (IOException | RuntimeException e) {
            try {
                tracee.close();
            } catch (IOException suppressed) {
                e.addSuppressed(suppressed);
            }
            throw e;
        }
        return tracee;
    }

    private void stopAtCall() throws IOException {
        for (int stops = 0; stops < STOPS_MAX; stops++) {
            interrupt();
            ptrace(PTRACE_GETREGS, "PTRACE_GETREGS", 0, registers.address());
            if ((int) registers.getAtIndex(JAVA_LONG, CS) == CS_32_BITS) {
                throw new IOException("thread " + thread + " runs a program of 32 bits");
            }
            if (standsAfterCall()) {
                ptrace(PTRACE_GETSIGMASK, "PTRACE_GETSIGMASK", SIGSET_BYTES, signals.address());
                MemorySegment all = arena.allocate(SIGSET_BYTES, 8).fill((byte) 0xff);
                ptrace(PTRACE_SETSIGMASK, "PTRACE_SETSIGMASK", SIGSET_BYTES, all.address());
                masked = true;
                return;
            }
            resume(PTRACE_CONT, 0);
            pause();
        }
        throw new IOException("thread " + thread + " makes no system call");
    }

    /** Whether the instruction before the next one is {@code syscall}, which serves for the calls to come. */
    private boolean standsAfterCall() throws LinuxException {
        MemorySegment instruction = arena.allocate(JAVA_SHORT);
        long address = registers.getAtIndex(JAVA_LONG, IP) - SYSCALL_BYTES;
        return transfer(Calls.READ, "process_vm_readv", instruction, address)
                && instruction.get(JAVA_SHORT, 0) == SYSCALL_INSTRUCTION;
    }

    private static void pause() throws IOException {
        try {
            Thread.sleep(0, (int) RUN_NANOS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while a thread was being stopped", e);
        }
    }

    /** Brings it into a stop that a system call can be made from, and that it can be let go from. */
    private void interrupt() throws IOException {
        ptrace(PTRACE_INTERRUPT, "PTRACE_INTERRUPT", 0, 0);
        if (stopped) {
            resume(PTRACE_CONT, 0);
        }
        while (true) {
            int signal = await();
            if (event() == PTRACE_EVENT_STOP) {
                return;
            }
            // A signal on its way in, which is the program's; the interruption comes after it.
            resume(PTRACE_CONT, signal == SYSCALL_STOP ? 0 : signal);
        }
    }

    /** Waits until it stands. @return the signal that waitpid(2) tells */
    private int await() throws IOException {
        while ((int) Libc.call(Calls.WAITPID, thread, status.address(), WALL) < 0) {
            if (Libc.errno() != Errno.EINTR) {
                throw new LinuxException("waitpid(" + thread + ", __WALL)", Libc.errno());
            }
        }
        int word = status.get(JAVA_INT, 0);
        if ((word & 0xff) != 0x7f) {
            ended = true;
            throw new IOException("thread " + thread + " ended while it was stopped (status " + word + ")");
        }
        stopped = true;
        return word >> 8 & 0xff;
    }

    private int event() {
        return status.get(JAVA_INT, 0) >> 16;
    }

    private void resume(int request, int signal) throws LinuxException {
        ptrace(request, request == PTRACE_SYSCALL ? "PTRACE_SYSCALL" : "PTRACE_CONT", 0, signal);
        stopped = false;
    }

    /**
     * Has it make a system call.
     *
     * @param number as the x86-64 kernel counts them
     * @param arguments at most six
     * @return what the kernel answers: a negative errno for a failure
     * @throws IOException if it ended meanwhile, or could not be brought to make it
     */
    public long call(long number, long... arguments) throws IOException {
        if (arguments.length > ARGUMENTS_MAX) {
            throw new IllegalArgumentException("a system call has at most " + ARGUMENTS_MAX + " arguments");
        }
        int[] places = {DI, SI, DX, R10, R8, R9};
        working.copyFrom(registers);
        for (int i = 0; i < arguments.length; i++) {
            working.setAtIndex(JAVA_LONG, places[i], arguments[i]);
        }
        working.setAtIndex(JAVA_LONG, AX, number);
        // Not in a system call: else the kernel would see one to restart in these registers.
        working.setAtIndex(JAVA_LONG, ORIG_AX, -1);
        working.setAtIndex(JAVA_LONG, IP, registers.getAtIndex(JAVA_LONG, IP) - SYSCALL_BYTES);
        ptrace(PTRACE_SETREGS, "PTRACE_SETREGS", 0, working.address());
        try {
            runToCallStop(number); // its entry
            runToCallStop(number); // its end
            ptrace(PTRACE_GETREGS, "PTRACE_GETREGS", 0, working.address());
            return working.getAtIndex(JAVA_LONG, AX);
        } finally {
            if (!ended) {
                // Only from this stop, where signals are handled, the kernel restarts the call that it was stopped in.
                interrupt();
                ptrace(PTRACE_SETREGS, "PTRACE_SETREGS", 0, registers.address());
            }
        }
    }

    private void runToCallStop(long number) throws IOException {
        do {
            resume(PTRACE_SYSCALL, 0);
            if (await() == SYSCALL_STOP) {
                return;
            }
            // Of a process that was stopped already (SIGSTOP) PTRACE_SEIZE and PTRACE_INTERRUPT tell one each.
        } while (event() == PTRACE_EVENT_STOP);
        throw new IOException("thread " + thread + " stopped elsewhere than at system call " + number);
    }

    /**
     * Has it make a system call with a pointer to a structure, which is put onto its stack for that time.
     *
     * @param structure at most a page of native memory
     * @param position which of the arguments gets the pointer
     */
    public long callWith(MemorySegment structure, int position, long number, long... arguments) throws IOException {
        long address = registers.getAtIndex(JAVA_LONG, SP) - RED_ZONE_BYTES - structure.byteSize() & ~15L;
        MemorySegment before = arena.allocate(structure.byteSize(), 8);
        long[] all = arguments.clone();
        all[position] = address;
        move(Calls.READ, "process_vm_readv", before, address);
        try {
            move(Calls.WRITE, "process_vm_writev", structure, address);
            return call(number, all);
        } finally {
            if (!ended) {
                move(Calls.WRITE, "process_vm_writev", before, address);
            }
        }
    }

    private void move(MemorySegment function, String name, MemorySegment local, long address) throws LinuxException {
        if (!transfer(function, name, local, address)) {
            throw new LinuxException(
                    name + "(" + thread + ", " + local.byteSize() + " bytes at 0x" + Long.toHexString(address) + ")",
                    Errno.EFAULT);
        }
    }

    /** process_vm_readv(2) and process_vm_writev(2). @return false if there is no such memory */
    private boolean transfer(MemorySegment function, String name, MemorySegment local, long address)
            throws LinuxException {
        try (Arena vectors = Arena.ofConfined()) {
            MemorySegment here = vectors.allocate(16, 8);
            here.set(JAVA_LONG, 0, local.address());
            here.set(JAVA_LONG, 8, local.byteSize());
            MemorySegment there = vectors.allocate(16, 8);
            there.set(JAVA_LONG, 0, address);
            there.set(JAVA_LONG, 8, local.byteSize());
            long count = Libc.callWith(local, function, thread, here.address(), 1, there.address(), 1, 0);
            if (count < 0 && Libc.errno() != Errno.EFAULT) {
                throw new LinuxException(name + "(" + thread + ")", Libc.errno());
            }
            return count == local.byteSize();
        }
    }

    private void ptrace(int request, String name, long address, long data) throws LinuxException {
        if (Thread.currentThread().threadId() != tracer) {
            throw new IllegalStateException("thread " + thread + " is traced by another thread than this one");
        }
        if (Libc.call(Calls.PTRACE, request, thread, address, data) < 0) {
            throw new LinuxException("ptrace(" + name + ", " + thread + ")", Libc.errno());
        }
    }

    /** Lets it go on. Does nothing when it has ended. A second call does nothing. */
    @Override
    public void close() throws IOException {
        if (!arena.scope().isAlive()) {
            return;
        }
        try (arena) {
            if (stopped && !ended) {
                if (masked) {
                    release(PTRACE_SETSIGMASK, "PTRACE_SETSIGMASK", SIGSET_BYTES, signals.address());
                }
                release(PTRACE_DETACH, "PTRACE_DETACH", 0, 0);
            }
        }
    }

    /** As ptrace(), but a thread that was killed is taken note of: until then its parent is not told. */
    private void release(int request, String name, long address, long data) throws LinuxException {
        try {
            if (!ended) {
                ptrace(request, name, address, data);
            }
        } catch (LinuxException e) {
            if (e.errno() != Errno.ESRCH) {
                throw e;
            }
            ended = true;
            while ((int) Libc.call(Calls.WAITPID, thread, status.address(), WALL) < 0 && Libc.errno() == Errno.EINTR) {}
        }
    }

    private static final class Calls {
        static final MemorySegment PTRACE = Libc.function("ptrace");
        static final MemorySegment WAITPID = Libc.function("waitpid");
        static final MemorySegment READ = Libc.function("process_vm_readv");
        static final MemorySegment WRITE = Libc.function("process_vm_writev");

        private Calls() {}
    }
}
