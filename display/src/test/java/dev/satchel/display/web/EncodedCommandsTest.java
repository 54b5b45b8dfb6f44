package dev.satchel.display.web;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.display.Command;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class EncodedCommandsTest {
    private final AtomicInteger encodings = new AtomicInteger();
    private final AtomicInteger open = new AtomicInteger();
    private final CountDownLatch mayGoOn = new CountDownLatch(1);
    private volatile boolean waits;
    private volatile boolean fails;
    private final EncodedCommands encoded = new EncodedCommands(Plain::new);

    private final class Plain implements CommandEncoder {
        Plain() {
            assertThat(open.incrementAndGet()).isLessThanOrEqualTo(2);
        }

        @Override
        public byte[] encode(Command command) {
            encodings.incrementAndGet();
            if (waits) {
                try {
                    mayGoOn.await();
                } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                }
            }
            if (fails) {
                fails = false;
                throw new IllegalStateException("can't be encoded");
            }
            return FakeDisplay.encode(command);
        }

        @Override
        public void close() {
            open.decrementAndGet();
        }
    }

    @Test
    void keepsNoMoreThanItMay() throws Exception {
        List<Command> commands = new ArrayList<>();
        for (int i = 0; i < 400; i++) {
            commands.add(FakeDisplay.pixels(i % 7 == 0 ? 400_000 : 4_000));
        }
        for (Command command : commands) {
            encoded.encode(command, true);
            assertThat(encoded.bytes()).isBetween(1L, EncodedCommands.BYTES_MAX);
        }
        encodings.set(0);
        encoded.encode(commands.getLast(), true);
        assertThat(encodings).hasValue(0);
        encoded.encode(commands.getFirst(), true);
        assertThat(encodings).hasValue(1);
        Command huge = FakeDisplay.pixels(2_000_000);
        encoded.encode(huge, true);
        encoded.encode(huge, true);
        assertThat(encodings).hasValue(3);
        encoded.rest();
        assertThat(encoded.bytes()).isZero();
        assertThat(open).hasValue(0);
        encoded.encode(huge, false);
        encoded.close();
        assertThat(open).hasValue(0);
        assertThatThrownBy(() -> encoded.encode(huge, false)).isInstanceOf(IOException.class);
    }

    @Test
    void encodesOnceForThoseThatComeMeanwhile() throws Exception {
        Command command = FakeDisplay.pixels(400);
        waits = true;
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<byte[]>> results = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                results.add(threads.submit(() -> encoded.encode(command, true)));
            }
            mayGoOn.countDown();
            for (Future<byte[]> result : results) {
                assertThat(result.get()).hasSize(414);
            }
        }
        assertThat(encodings).hasValue(1);
    }

    @Test
    void aFailureIsOnlyWhoseItIs() throws Exception {
        Command command = FakeDisplay.pixels(400);
        waits = true;
        fails = true;
        int failed = 0;
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<byte[]>> results = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                results.add(threads.submit(() -> encoded.encode(command, true)));
            }
            mayGoOn.countDown();
            for (Future<byte[]> result : results) {
                try {
                    assertThat(result.get()).hasSize(414);
                } catch (ExecutionException e) {
                    failed++;
                }
            }
        }
        assertThat(failed).isEqualTo(1);
        assertThat(encodings).hasValue(2);
        assertThat(open.get()).isBetween(1, 2);
    }
}
