package dev.satchel.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.EOFException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FdTest {
    @TempDir
    Path directory;

    @Test
    void openInRootNeverLeavesIt() throws Exception {
        Files.writeString(directory.resolve("secret"), "outside");
        Path root = Files.createDirectory(directory.resolve("root"));
        Files.writeString(root.resolve("file"), "inside");
        Files.createSymbolicLink(root.resolve("absolute"), directory.resolve("secret"));
        Files.createSymbolicLink(root.resolve("relative"), Path.of("../secret"));
        Files.createSymbolicLink(root.resolve("good"), Path.of("/file"));
        Files.createDirectory(root.resolve("directory"));
        try (Fd fd = Fd.open(root, Fd.O_PATH | Fd.O_DIRECTORY)) {
            for (String path : new String[] {"absolute", "relative", "good"}) {
                assertThatThrownBy(() -> fd.openInRoot(path, Fd.O_RDONLY, 0, false))
                        .hasMessageEndingWith("(ELOOP)");
            }
            for (String path : new String[] {"absolute", "relative", "../secret", "directory/../../secret"}) {
                assertThatThrownBy(() -> fd.openInRoot(path, Fd.O_RDONLY, 0, true))
                        .hasMessageEndingWith("(ENOENT)");
            }
            assertThat(content(fd.openInRoot("good", Fd.O_RDONLY, 0, true))).isEqualTo("inside");
            assertThat(content(fd.openInRoot("/../../file", Fd.O_RDONLY, 0, false)))
                    .isEqualTo("inside");
            fd.openInRoot("directory/made", Fd.O_WRONLY | Fd.O_CREAT | Fd.O_EXCL, 0640, false)
                    .close();
            assertThat((int) Files.getAttribute(root.resolve("directory/made"), "unix:mode") & 0777)
                    .isEqualTo(0640);
        }
    }

    private static String content(Fd fd) throws Exception {
        try (fd;
                Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(100);
            return new String(
                    bytes.asSlice(0, fd.read(bytes)).toArray(ValueLayout.JAVA_BYTE),
                    java.nio.charset.StandardCharsets.UTF_8);
        }
    }

    @Test
    void lockExcludesAnotherDescriptor() throws Exception {
        Path file = directory.resolve("lock");
        try (Fd second = Fd.open(file, Fd.O_RDWR | Fd.O_CREAT)) {
            try (Fd first = Fd.open(file, Fd.O_RDWR)) {
                assertThat(first.tryLock()).isTrue();
                assertThat(second.tryLock()).isFalse();
            }
            assertThat(second.tryLock()).isTrue();
        }
    }

    @Test
    void pipeCarriesAndDuplicates() throws Exception {
        try (Arena arena = Arena.ofConfined();
                Fd.Pipe pipe = Fd.pipe()) {
            try (Fd copy = pipe.writer().duplicate()) {
                copy.write(arena.allocateFrom("hello"));
            }
            MemorySegment read = arena.allocate(10);
            assertThat(pipe.reader().read(read)).isEqualTo(6);
            assertThat(read.getString(0)).isEqualTo("hello");
            pipe.writer().close();
            assertThat(pipe.reader().read(read)).isZero();
        }
    }

    @Test
    void duplicatesToANumber() throws Exception {
        Path file = Files.writeString(directory.resolve("file"), "content");
        try (Arena arena = Arena.ofConfined();
                Fd.Pipe pipe = Fd.pipe();
                Fd fd = Fd.open(file, Fd.O_RDONLY)) {
            fd.duplicateTo(pipe.reader().number());
            MemorySegment read = arena.allocate(7);
            pipe.reader().readFully(read, 0);
            assertThat(read.toArray(ValueLayout.JAVA_BYTE)).isEqualTo(Files.readAllBytes(file));
        }
    }

    @Test
    void readsToTheEndOnly() throws Exception {
        Path file = Files.writeString(directory.resolve("short"), "abc");
        try (Arena arena = Arena.ofConfined();
                Fd fd = Fd.open(file, Fd.O_RDONLY)) {
            assertThat(fd.pread(arena.allocate(10), 1)).isEqualTo(2);
            assertThatThrownBy(() -> fd.readFully(arena.allocate(10), 1)).isInstanceOf(EOFException.class);
            assertThatThrownBy(() -> fd.pwrite(arena.allocate(10), 1)).hasMessageContaining("(EBADF)");
        }
        assertThatThrownBy(() -> Fd.open(file, Fd.O_WRONLY | Fd.O_CREAT | Fd.O_EXCL))
                .hasMessage("open(" + file + ", 0xc1): File exists (EEXIST)");
    }
}
