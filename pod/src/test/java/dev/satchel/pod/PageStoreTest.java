package dev.satchel.pod;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.linux.Fd;
import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PageStoreTest {
    private static final int BYTES = 5 << 20;

    @TempDir
    Path directory;

    /** What is in pipes, and what has no room in them, in whatever portions it came and is read. */
    @ParameterizedTest
    @ValueSource(ints = {1000, 2, 0})
    void allComesOutAsItCame(int pipesMax) throws Exception {
        byte[] bytes = new byte[BYTES];
        Random random = new Random(7);
        random.nextBytes(bytes);
        Set<String> before = buffers();
        try (PageStore store = new PageStore(directory, pipesMax);
                Fd.Pipe pipe = Fd.pipe()) {
            PageStore.Incoming incoming = store.incoming(pipe.reader(), "pages-1.img");
            Thread writing = Thread.ofPlatform().start(() -> write(bytes, pipe.writer(), new Random(8)));
            boolean end = false;
            while (!end) {
                end = incoming.take();
                assertThat(openedSince(before)).hasSizeLessThan(pipesMax + 8);
            }
            writing.join();
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
        assertThat(openedSince(before)).isEmpty();
    }

    @Test
    void nothingStaysOpenOfWhatWasGivenUp() throws Exception {
        Set<String> before = buffers();
        try (PageStore store = new PageStore(directory, 1);
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
        assertThat(openedSince(before)).isEmpty();
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

    private static Set<String> openedSince(Set<String> before) throws IOException {
        Set<String> opened = buffers();
        opened.removeAll(before);
        return opened;
    }

    /** The pipes and unnamed files that are open, by inode: others close some of this process's at any time, so that their number tells nothing. */
    private static Set<String> buffers() throws IOException {
        Set<String> open = new HashSet<>();
        try (DirectoryStream<Path> all = Files.newDirectoryStream(Path.of("/proc/self/fd"))) {
            for (Path descriptor : all) {
                try {
                    String target = Files.readSymbolicLink(descriptor).toString();
                    if (target.startsWith("pipe:")) {
                        open.add(target);
                    } else if (target.endsWith(" (deleted)")) {
                        open.add(target + " " + Files.getAttribute(descriptor, "unix:ino"));
                    }
                } catch (NoSuchFileException e) {
                    // Closed since it was listed, by a thread that is none of the test's.
                }
            }
        }
        return open;
    }
}
