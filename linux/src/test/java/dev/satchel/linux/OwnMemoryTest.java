package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class OwnMemoryTest {
    private static final int BYTES = 64 << 20;

    @Test
    void whatIsDiscardedReadsAsZerosAndTakesNoMemory() throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(BYTES, 4096);
            buffer.fill((byte) 7);
            long before = residentBytes();
            OwnMemory.discard(buffer);
            assertThat(before - residentBytes()).isGreaterThan(BYTES / 2);
            assertThat(buffer.get(JAVA_BYTE, BYTES - 1)).isZero();
            assertThatThrownBy(() -> OwnMemory.discard(buffer.asSlice(1))).isInstanceOf(IllegalArgumentException.class);
        }
    }

    @Test
    void whatWasFreedGoesBackToTheKernel() throws IOException {
        // Small pieces, of which the last one stays: malloc(3) keeps what is free below it.
        try (Arena last = Arena.ofConfined()) {
            try (Arena arena = Arena.ofConfined()) {
                for (int i = 0; i < BYTES >> 16; i++) {
                    arena.allocate(1 << 16).fill((byte) 7);
                }
                last.allocate(1 << 16).fill((byte) 7);
            }
            long before = residentBytes();
            OwnMemory.trim();
            assertThat(before - residentBytes()).isGreaterThan(BYTES / 2);
        }
    }

    private static long residentBytes() throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmRSS:")) {
                return Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024;
            }
        }
        throw new IOException("no VmRSS in /proc/self/status");
    }
}
