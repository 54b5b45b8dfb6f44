package dev.satchel.pod;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.linux.Fd;
import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PageStoreTest {
    private static final int BYTES = 5 << 20;

    @TempDir
    Path directory;

    /** What is in pipes, what has no room in them, and what was copied, in whatever portions it came and is read. */
    @ParameterizedTest
    @CsvSource({"false, 1000", "false, 2", "false, 0", "true, 1000"})
    void allComesOutAsItCame(boolean copying, int pipesMax) throws Exception {
        byte[] bytes = new byte[BYTES];
        Random random = new Random(7);
        random.nextBytes(bytes);
        long before = descriptors();
        try (PageStore store = new PageStore(directory, copying, pipesMax);
                Fd.Pipe pipe = Fd.pipe()) {
            PageStore.Incoming incoming = store.incoming(pipe.reader(), "pages-1.img");
            Thread writing = Thread.ofPlatform().start(() -> write(bytes, pipe.writer(), new Random(8)));
            boolean end = false;
            while (!end) {
                end = incoming.take();
                assertThat(descriptors() - before).isLessThan(pipesMax + 12L);
            }
            writing.join();
            store.awaitCopies();
            CapturedPages pages = incoming.pages();
            assertThat(pages.sizeBytes()).isEqualTo(BYTES);
            assertThat(pages.name()).isEqualTo("pages-1.img");
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment read = arena.allocate(BYTES);
                for (long done = 0; done < BYTES; ) {
                    long step = Math.min(BYTES - done, 1 + random.nextInt(256 << 10));
                    pages.read(read.asSlice(done, step));
                    done += step;
                }
                assertThat(read.toArray(ValueLayout.JAVA_BYTE)).isEqualTo(bytes);
                assertThatThrownBy(() -> pages.read(read)).isInstanceOf(EOFException.class);
            }
        }
        assertThat(descriptors()).isEqualTo(before);
    }

    @Test
    void nothingStaysOpenOfWhatWasGivenUp() throws Exception {
        long before = descriptors();
        for (boolean copying : new boolean[] {false, true}) {
            try (PageStore store = new PageStore(directory, copying, 1);
                    Fd.Pipe pipe = Fd.pipe()) {
                PageStore.Incoming incoming = store.incoming(pipe.reader(), "pages-1.img");
                Thread writing = Thread.ofPlatform().start(() -> write(new byte[BYTES], pipe.writer(), new Random(8)));
                boolean end = false;
                while (!end) {
                    end = incoming.take();
                }
                writing.join();
                PageStore.Incoming half = store.incoming(pipe.reader(), "pages-2.img");
                half.abandon();
            }
        }
        assertThat(descriptors()).isEqualTo(before);
    }

    /** Closes the writer at the end. */
    private static void write(byte[] bytes, Fd writer, Random portions) {
        try (writer;
                Arena arena = Arena.ofConfined()) {
            MemorySegment all = arena.allocate(bytes.length);
            all.copyFrom(MemorySegment.ofArray(bytes));
            for (long done = 0; done < bytes.length; ) {
                long step = Math.min(bytes.length - done, 1 + portions.nextInt(100_000));
                done += writer.write(all.asSlice(done, step));
            }
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    private static long descriptors() throws IOException {
        try (Stream<Path> all = Files.list(Path.of("/proc/self/fd"))) {
            return all.count();
        }
    }
}
