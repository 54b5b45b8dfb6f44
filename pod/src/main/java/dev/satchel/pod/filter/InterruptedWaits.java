package dev.satchel.pod.filter;

import java.io.IOException;
import java.util.Optional;

/**
 * Lets a wait that freezing interrupted begin anew, so that the program does not see an EINTR no signal of its own caused. CRIU does
 * so for system calls that the kernel itself would restart, and writes EINTR for those that need the kernel's memory of them
 * (ERESTART_RESTARTBLOCK); some others end with EINTR at any stop, signal(7). On x86-64 only: there {@code orig_ax} tells the call.
 *
 * <p>A wait begins anew if it has no limit, one that stands (a point in time, or what the kernel has left of it), or a short one. A
 * call that a signal has ended, which is then still pending and not blocked, stays ended.
 */
public final class InterruptedWaits implements ImageFilter {
    private static final long EINTR = -4;
    private static final int SYSCALL_INSTRUCTION_BYTES = 2;

    /** A wait of this many milliseconds at most may take up to twice as long. */
    private static final int SHORT_MILLIS = 5_000;

    private static final int TIMER_ABSTIME = 1;

    // core_entry, images/core.proto
    private static final int CORE_X86 = 2;
    private static final int CORE_TASK = 3;
    private static final int CORE_THREAD = 5;
    private static final int TASK_BLOCKED = 5;
    private static final int TASK_SIGNALS = 10;
    private static final int THREAD_BLOCKED = 6;
    private static final int THREAD_SIGNALS = 9;

    // thread_info_x86 and user_x86_regs_entry, images/core-x86.proto
    private static final int X86_REGISTERS = 2;
    private static final int R10 = 8;
    private static final int R8 = 10;
    private static final int AX = 11;
    private static final int DX = 13;
    private static final int SI = 14;
    private static final int DI = 15;
    private static final int ORIG_AX = 16;
    private static final int IP = 17;
    private static final int MODE = 28;
    private static final int MODE_NATIVE = 1;

    // x86-64's, arch/x86/entry/syscalls/syscall_64.tbl
    private static final int READ = 0;
    private static final int WRITE = 1;
    private static final int POLL = 7;
    private static final int READV = 19;
    private static final int WRITEV = 20;
    private static final int NANOSLEEP = 35;
    private static final int ACCEPT = 43;
    private static final int SENDTO = 44;
    private static final int RECVFROM = 45;
    private static final int SENDMSG = 46;
    private static final int RECVMSG = 47;
    private static final int SEMOP = 65;
    private static final int RT_SIGTIMEDWAIT = 128;
    private static final int FUTEX = 202;
    private static final int IO_GETEVENTS = 208;
    private static final int SEMTIMEDOP = 220;
    private static final int CLOCK_NANOSLEEP = 230;
    private static final int EPOLL_WAIT = 232;
    private static final int EPOLL_PWAIT = 281;
    private static final int ACCEPT4 = 288;
    private static final int RECVMMSG = 299;
    private static final int IO_PGETEVENTS = 333;
    private static final int EPOLL_PWAIT2 = 441;

    @Override
    public String name() {
        return "interrupted waits";
    }

    @Override
    public void apply(ImageDirectory images) throws IOException {
        for (ImageDirectory.Task process : images.tasks()) {
            Optional<Message> task = images.core(process.id()).message(CORE_TASK);
            for (long thread : process.threads()) {
                mend(images.core(thread), task, thread == process.id());
            }
        }
    }

    private static void mend(Message core, Optional<Message> task, boolean leader) throws IOException {
        Optional<Message> x86 = core.message(CORE_X86);
        if (x86.isEmpty()) {
            return; // a zombie, or another architecture
        }
        Message registers = x86.get()
                .message(X86_REGISTERS)
                .orElseThrow(() -> new IOException("a thread's image has no registers"));
        if (registers.number(AX) != EINTR
                || registers.number(MODE, MODE_NATIVE) != MODE_NATIVE
                || !canBeginAnew(registers)) {
            return;
        }
        Optional<Message> thread = core.message(CORE_THREAD);
        long blocked = leader && task.isPresent() ? task.get().number(TASK_BLOCKED) : 0;
        if (thread.isPresent()) {
            blocked = thread.get().number(THREAD_BLOCKED, blocked);
        }
        if (isPending(task, TASK_SIGNALS, blocked) || isPending(thread, THREAD_SIGNALS, blocked)) {
            return;
        }
        long call = registers.number(ORIG_AX);
        if (call == NANOSLEEP && registers.number(SI) != 0) {
            registers.set(DI, registers.number(SI)); // what was left of it
        } else if (call == CLOCK_NANOSLEEP
                && (registers.number(SI) & TIMER_ABSTIME) == 0
                && registers.number(R10) != 0) {
            registers.set(DX, registers.number(R10));
        }
        registers.set(AX, call);
        registers.set(IP, registers.number(IP) - SYSCALL_INSTRUCTION_BYTES);
    }

    private static boolean canBeginAnew(Message registers) throws IOException {
        long call = registers.number(ORIG_AX);
        if (call < 0 || call > EPOLL_PWAIT2) {
            return false;
        }
        return switch ((int) call) {
            case READ,
                    WRITE,
                    READV,
                    WRITEV,
                    NANOSLEEP,
                    CLOCK_NANOSLEEP,
                    ACCEPT,
                    ACCEPT4,
                    SENDTO,
                    SENDMSG,
                    RECVFROM,
                    RECVMSG,
                    RECVMMSG,
                    SEMOP,
                    FUTEX -> true;
            case POLL -> unlimitedOrShort((int) registers.number(DX));
            case EPOLL_WAIT, EPOLL_PWAIT -> unlimitedOrShort((int) registers.number(R10));
            case EPOLL_PWAIT2, SEMTIMEDOP -> registers.number(R10) == 0;
            case RT_SIGTIMEDWAIT -> registers.number(DX) == 0;
            case IO_GETEVENTS, IO_PGETEVENTS -> registers.number(R8) == 0;
            default -> false;
        };
    }

    private static boolean unlimitedOrShort(int millis) {
        return millis < 0 || millis <= SHORT_MILLIS;
    }

    /** Whether a queue, images/siginfo.proto, has a signal that is not blocked. A siginfo_t begins with its number. */
    private static boolean isPending(Optional<Message> of, int queue, long blocked) throws IOException {
        if (of.isEmpty()) {
            return false;
        }
        Optional<Message> signals = of.get().message(queue);
        if (signals.isEmpty()) {
            return false;
        }
        for (Message entry : signals.get().messages(1)) {
            java.nio.ByteBuffer info = entry.bytes(1);
            int signal = info.remaining() < 4 ? 0 : info.getInt(0);
            if (signal < 1 || signal > 64) {
                throw new IOException("a thread's image has a pending signal " + signal);
            }
            if ((blocked >>> (signal - 1) & 1) == 0) {
                return true;
            }
        }
        return false;
    }
}
