package dev.satchel.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Files as another user reaches them, and what is told of them. Needs root. */
class UserRightsTest {
    private static final UserRights SOMEBODY = new UserRights(1000, 1000);

    @TempDir
    Path directory;

    private Fd root() throws Exception {
        Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxr-xr-x"));
        return Fd.open(directory, Fd.O_PATH | Fd.O_DIRECTORY);
    }

    @Test
    void whatTheUserMayNotReadIsNotOpened() throws Exception {
        Path secret = Files.writeString(directory.resolve("secret"), "x");
        Files.setPosixFilePermissions(secret, PosixFilePermissions.fromString("rw-r-----"));
        try (Fd root = root()) {
            assertThatThrownBy(() -> SOMEBODY.call(() -> root.openInRoot("secret", Fd.O_RDONLY, 0, true)))
                    .isInstanceOfSatisfying(
                            LinuxException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EACCES));
            // Only that thread had them.
            try (Fd mine = root.openInRoot("secret", Fd.O_RDONLY, 0, true)) {
                assertThat(FileStatus.of(mine).sizeBytes()).isEqualTo(1);
            }
        }
    }

    @Test
    void whatTheUserMakesIsTheUsers() throws Exception {
        Path own = Files.createDirectory(directory.resolve("own"));
        Files.setAttribute(own, "unix:uid", 1000);
        try (Fd root = root();
                Fd target = root.openInRoot("own", Fd.O_PATH | Fd.O_DIRECTORY, 0, true);
                Arena arena = Arena.ofConfined()) {
            assertThatThrownBy(() -> SOMEBODY.call(() -> root.openInRoot(".", Fd.O_TMPFILE | Fd.O_WRONLY, 0644, true)))
                    .isInstanceOf(LinuxException.class);
            try (Fd file = SOMEBODY.call(() -> root.openInRoot("own", Fd.O_TMPFILE | Fd.O_WRONLY, 0644, true))) {
                MemorySegment bytes = arena.allocateFrom(ValueLayout.JAVA_BYTE, (byte) 'h', (byte) 'i');
                file.writeFully(bytes, 0);
                assertThat(own).isEmptyDirectory();
                assertThat(file.linkInto(target, "größe")).isTrue();
                assertThat(file.linkInto(target, "größe")).isFalse();
            }
            assertThat(Files.readString(own.resolve("größe"))).isEqualTo("hi");
            FileStatus status = FileStatus.of(target, "größe");
            assertThat(status.uid()).isEqualTo(1000);
            assertThat(status.isRegular()).isTrue();
            assertThat(status.mode() & 0777).isEqualTo(0644);
        }
    }

    @Test
    void directoriesAreListedByName() throws Exception {
        Files.createDirectory(directory.resolve("d"));
        Files.createSymbolicLink(directory.resolve("l"), Path.of("nowhere"));
        Path file = Files.writeString(directory.resolve("f – ü"), "1234");
        Files.setLastModifiedTime(file, FileTime.fromMillis(1_600_000_000_123L));
        try (Fd listed = Fd.open(directory, Fd.O_RDONLY | Fd.O_DIRECTORY)) {
            DirectoryNames names = DirectoryNames.read(listed, 100);
            assertThat(names.names()).containsExactlyInAnyOrder("d", "l", "f – ü");
            assertThat(names.whole()).isTrue();
            assertThat(FileStatus.of(listed, "d").isDirectory()).isTrue();
            assertThat(FileStatus.of(listed, "l").isLink()).isTrue();
            FileStatus status = FileStatus.of(listed, "f – ü");
            assertThat(status.sizeBytes()).isEqualTo(4);
            assertThat(status.modifiedMillis()).isEqualTo(1_600_000_000_123L);
        }
        try (Fd listed = Fd.open(directory, Fd.O_RDONLY | Fd.O_DIRECTORY)) {
            DirectoryNames some = DirectoryNames.read(listed, 2);
            assertThat(some.names()).hasSize(2);
            assertThat(some.whole()).isFalse();
        }
    }
}
