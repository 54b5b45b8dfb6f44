package dev.satchel.pod.filter;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Each filter on images that are written here, byte for byte, as CRIU 4.2.1 would. */
class FiltersTest {
    private static final int PSTREE = 0x50273030;
    private static final int CORE = 0x55053847;
    private static final int FILES = 0x56303138;
    private static final long EINTR = -4;
    private static final long IP = 0x7fff_1234_5678L;

    private static final int R10 = 8;
    private static final int R8 = 10;
    private static final int AX = 11;
    private static final int DX = 13;
    private static final int SI = 14;
    private static final int DI = 15;
    private static final int ORIG_AX = 16;
    private static final int INSTRUCTION = 17;

    @TempDir
    Path directory;

    private void write(String name, byte[] bytes) throws IOException {
        Files.write(directory.resolve(name), bytes);
    }

    private byte[] read(String name) throws IOException {
        return Files.readAllBytes(directory.resolve(name));
    }

    private void apply(ImageFilter... filters) throws IOException {
        ImageDirectory.apply(directory, List.of(filters));
    }

    private static Bytes process(long id, long... threads) {
        Bytes entry = new Bytes().number(1, id).number(2, 1).number(3, id).number(4, id);
        for (long thread : threads) {
            entry.number(5, thread);
        }
        return entry;
    }

    private void tree(Bytes... processes) throws IOException {
        write("pstree.img", Bytes.image(PSTREE, processes));
    }

    /** Registers whose values tell where they are: field n is 1000 + n. */
    private static long[] registers(long call, long result) {
        long[] registers = new long[28];
        for (int field = 1; field < registers.length; field++) {
            registers[field] = 1000L + field;
        }
        registers[ORIG_AX] = call;
        registers[AX] = result;
        registers[INSTRUCTION] = IP;
        return registers;
    }

    private static Bytes core(long[] registers, Bytes task, Bytes thread) {
        Bytes entry = new Bytes();
        for (int field = 1; field < registers.length; field++) {
            entry.number(field, registers[field]);
        }
        Bytes x86 = new Bytes().number(1, 0x7000).message(2, entry).fixed(77, 0x0102030405060708L);
        return new Bytes().number(1, 1).message(2, x86).message(3, task).message(5, thread);
    }

    private static Bytes pending(int field, int... signals) {
        Bytes queue = new Bytes();
        for (int signal : signals) {
            queue.message(
                    1,
                    new Bytes()
                            .bytes(
                                    1,
                                    ByteBuffer.allocate(128)
                                            .order(ByteOrder.LITTLE_ENDIAN)
                                            .putInt(signal)
                                            .array()));
        }
        return new Bytes().message(field, queue);
    }

    /** Filters one thread's image. @return what it is then */
    private byte[] filtered(Bytes core) throws IOException {
        tree(process(12, 12));
        write("core-12.img", Bytes.image(CORE, core));
        apply(new InterruptedWaits());
        return read("core-12.img");
    }

    private static Bytes task() {
        return new Bytes().number(1, 1).number(5, 0).bytes(6, new byte[] {'s', 'h'});
    }

    @ParameterizedTest
    @CsvSource({
        // call, r10, r8, dx, anew
        "0, 1, 1, 1, true",
        "202, 1, 1, 1, true",
        "65, 1, 1, 1, true",
        "47, 1, 1, 1, true",
        "7, 1, 1, -1, true",
        "7, 1, 1, 5000, true",
        "7, 1, 1, 5001, false",
        "7, 1, 1, 4294967295, true",
        "232, -1, 1, 1, true",
        "232, 9000, 1, 1, false",
        "281, 20, 1, 1, true",
        "441, 0, 1, 1, true",
        "441, 64, 1, 1, false",
        "220, 0, 1, 1, true",
        "220, 64, 1, 1, false",
        "128, 1, 1, 0, true",
        "128, 1, 1, 64, false",
        "208, 1, 0, 1, true",
        "333, 1, 64, 1, false",
        "61, 1, 1, 1, false",
        "-1, 1, 1, 1, false",
    })
    void aWaitBeginsAnewIfItsLimitStands(long call, long r10, long r8, long dx, boolean anew) throws IOException {
        long[] registers = registers(call, EINTR);
        registers[R10] = r10;
        registers[R8] = r8;
        registers[DX] = dx;
        byte[] before = Bytes.image(CORE, core(registers, task(), new Bytes()));
        byte[] after = filtered(core(registers, task(), new Bytes()));
        if (!anew) {
            assertThat(after).isEqualTo(before);
            return;
        }
        registers[AX] = call;
        registers[INSTRUCTION] = IP - 2;
        assertThat(after).isEqualTo(Bytes.image(CORE, core(registers, task(), new Bytes())));
        apply(new InterruptedWaits());
        assertThat(read("core-12.img")).isEqualTo(after);
    }

    @Test
    void aSleepGoesOnWithWhatWasLeft() throws IOException {
        long[] registers = registers(35, EINTR);
        byte[] relative = filtered(core(registers, task(), new Bytes()));
        registers[DI] = registers[SI];
        registers[AX] = 35;
        registers[INSTRUCTION] = IP - 2;
        assertThat(relative).isEqualTo(Bytes.image(CORE, core(registers, task(), new Bytes())));

        registers = registers(230, EINTR);
        registers[SI] = 0;
        byte[] left = filtered(core(registers, task(), new Bytes()));
        registers[DX] = registers[R10];
        registers[AX] = 230;
        registers[INSTRUCTION] = IP - 2;
        assertThat(left).isEqualTo(Bytes.image(CORE, core(registers, task(), new Bytes())));

        registers = registers(230, EINTR);
        registers[SI] = 1; // until a point in time
        byte[] absolute = filtered(core(registers, task(), new Bytes()));
        registers[AX] = 230;
        registers[INSTRUCTION] = IP - 2;
        assertThat(absolute).isEqualTo(Bytes.image(CORE, core(registers, task(), new Bytes())));
    }

    @Test
    void onlyACallThatWasInterruptedIsTouched() throws IOException {
        for (long result : new long[] {0, -11, 4, -512}) {
            Bytes core = core(registers(0, result), task(), new Bytes());
            assertThat(filtered(core)).isEqualTo(Bytes.image(CORE, core));
        }
    }

    @Test
    void aCallThatASignalEndedStaysEnded() throws IOException {
        long usr1 = 1L << 9;
        Bytes shared = core(registers(0, EINTR), pending(10, 10).number(5, 0), new Bytes());
        assertThat(filtered(shared)).isEqualTo(Bytes.image(CORE, shared));
        Bytes own = core(registers(0, EINTR), task(), pending(9, 10));
        assertThat(filtered(own)).isEqualTo(Bytes.image(CORE, own));
        Bytes other = core(registers(0, EINTR), task(), pending(9, 10, 12).number(6, usr1));
        assertThat(filtered(other)).isEqualTo(Bytes.image(CORE, other));

        Bytes blocked = core(registers(0, EINTR), task(), pending(9, 10).number(6, usr1));
        assertThat(filtered(blocked)).isNotEqualTo(Bytes.image(CORE, blocked));
        Bytes blockedByTask = core(registers(0, EINTR), pending(10, 10).number(5, usr1), new Bytes());
        assertThat(filtered(blockedByTask)).isNotEqualTo(Bytes.image(CORE, blockedByTask));
    }

    @Test
    void everyThreadIsLookedAt() throws IOException {
        tree(process(12, 12, 13));
        Bytes running = core(registers(0, 5), task(), new Bytes());
        write("core-12.img", Bytes.image(CORE, running));
        write("core-13.img", Bytes.image(CORE, core(registers(202, EINTR), new Bytes(), new Bytes())));
        apply(new InterruptedWaits());
        long[] anew = registers(202, 202);
        anew[INSTRUCTION] = IP - 2;
        assertThat(read("core-13.img")).isEqualTo(Bytes.image(CORE, core(anew, new Bytes(), new Bytes())));
        assertThat(read("core-12.img")).isEqualTo(Bytes.image(CORE, running));
    }

    @Test
    void aZombieHasItsOwnIdAsItsThread() throws IOException {
        Bytes[] processes = {process(1, 1), process(7, 0xfefefefeL), process(8, 8, 9)};
        tree(processes);
        apply(new Zombies());
        processes[1] = process(7, 7);
        assertThat(read("pstree.img")).isEqualTo(Bytes.image(PSTREE, processes));
    }

    private static Bytes timerfd(long ticks, long seconds, long nanos) {
        Bytes timer = new Bytes()
                .number(1, 5)
                .number(2, 2048)
                .message(3, new Bytes().number(1, 0))
                .number(4, 1)
                .number(5, ticks)
                .number(6, 0)
                .number(7, seconds)
                .number(8, nanos)
                .number(9, 3)
                .number(10, 250_000_000);
        return new Bytes().number(1, 14).number(2, 5).message(12, timer);
    }

    @Test
    void anExpiredTimerStartsAgain() throws IOException {
        Bytes other = new Bytes().number(1, 1).number(2, 9).message(3, new Bytes().bytes(6, new byte[300]));
        write("files.img", Bytes.image(FILES, other, timerfd(2, 0, 0), timerfd(0, 0, 0), timerfd(2, 0, 7)));
        apply(new UnreadTimerfds());
        assertThat(read("files.img"))
                .isEqualTo(Bytes.image(FILES, other, timerfd(2, 3, 250_000_000), timerfd(0, 0, 0), timerfd(2, 0, 7)));
    }

    private static Bytes timers(long thread) {
        Bytes signal = new Bytes().number(1, 0).number(4, 0);
        Bytes notifying = new Bytes().number(1, 1).number(4, 4).number(11, thread);
        return new Bytes().message(7, new Bytes().message(4, signal).message(4, notifying));
    }

    @Test
    void aTimerNotifiesItsThread() throws IOException {
        tree(process(12, 12, 13));
        write("core-12.img", Bytes.image(CORE, core(registers(0, 5), timers(0xfffffffffefefefeL), new Bytes())));
        apply(new TimerThreads(Map.of(12L, Map.of(1L, 13L))));
        byte[] mended = Bytes.image(CORE, core(registers(0, 5), timers(13), new Bytes()));
        assertThat(read("core-12.img")).isEqualTo(mended);
        apply(new TimerThreads(Map.of()));
        assertThat(read("core-12.img")).isEqualTo(mended);
    }

    @Test
    void aTimerWithoutItsThreadIsNoCheckpoint() throws IOException {
        tree(process(12, 12, 13));
        write("core-12.img", Bytes.image(CORE, core(registers(0, 5), timers(99), new Bytes())));
        assertThatThrownBy(() -> apply(new TimerThreads(Map.of())))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("threads of timers")
                .rootCause()
                .hasMessageContaining("timer 1 of the session's process 12");
    }

    @Test
    void thisProcessHasNoSuchTimer() throws IOException {
        tree(process(12, 12));
        write("core-12.img", Bytes.image(CORE, core(registers(0, 5), timers(12), new Bytes())));
        apply(TimerThreads.of(List.of(ProcessHandle.current().pid())));
        assertThat(read("core-12.img")).isEqualTo(Bytes.image(CORE, core(registers(0, 5), timers(12), new Bytes())));
    }

    @Test
    void whatDidNotChangeIsNotWritten() throws IOException {
        tree(process(12, 12));
        write("core-12.img", Bytes.image(CORE, core(registers(0, 5), task(), new Bytes())));
        FileTime longAgo = FileTime.fromMillis(1_000);
        Files.setLastModifiedTime(directory.resolve("core-12.img"), longAgo);
        Files.setLastModifiedTime(directory.resolve("pstree.img"), longAgo);
        apply(new Zombies(), new InterruptedWaits());
        assertThat(Files.getLastModifiedTime(directory.resolve("core-12.img"))).isEqualTo(longAgo);
        assertThat(Files.getLastModifiedTime(directory.resolve("pstree.img"))).isEqualTo(longAgo);
    }

    @Test
    void aDamagedImageIsNamed() throws IOException {
        tree(process(12, 12));
        byte[] whole = Bytes.image(CORE, core(registers(0, EINTR), task(), new Bytes()));
        for (int length = 0; length < whole.length; length++) {
            byte[] cut = Arrays.copyOf(whole, length);
            write("core-12.img", cut);
            assertThatThrownBy(() -> apply(new InterruptedWaits()))
                    .as("%d bytes", length)
                    .isInstanceOf(IOException.class)
                    .cause()
                    .hasMessageContaining("core-12.img");
            assertThat(read("core-12.img")).isEqualTo(cut);
        }
        byte[] endless =
                Bytes.image(CORE, new Bytes().bytes(2, new byte[] {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1}));
        write("core-12.img", endless);
        assertThatThrownBy(() -> apply(new InterruptedWaits())).cause().hasMessageContaining("core-12.img is damaged");
        write("core-12.img", Bytes.image(FILES));
        assertThatThrownBy(() -> apply(new InterruptedWaits()))
                .cause()
                .hasMessageContaining("does not begin as the image of that name");
    }
}
