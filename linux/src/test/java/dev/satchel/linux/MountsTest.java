package dev.satchel.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MountsTest {
    @TempDir
    Path directory;

    @Test
    void mountsListsAndUnmounts() throws Exception {
        Path target = Files.createDirectory(directory.resolve("with space\\and\ttab"));
        Mounts.mount("some source", target, "tmpfs", Mounts.MS_NOSUID | Mounts.MS_NODEV, "size=1m");
        try {
            Mount mount = Mounts.list().stream()
                    .filter(m -> m.target().equals(target))
                    .findFirst()
                    .orElseThrow();
            assertThat(mount.type()).isEqualTo("tmpfs");
            assertThat(mount.source()).isEqualTo("some source");
            assertThat(mount.options()).contains("nosuid", "nodev");
            assertThat(mount.superOptions()).contains("size=1024k");
            assertThat(Mounts.isMountPoint(target)).isTrue();
            assertThat(FileSystems.usage(target).blocks()
                            * FileSystems.usage(target).blockSizeBytes())
                    .isEqualTo(1 << 20);
        } finally {
            Mounts.unmount(target, 0);
        }
        assertThat(Mounts.isMountPoint(target)).isFalse();
    }

    @Test
    void errorNamesCallArgumentsAndErrno() {
        Path target = directory.resolve("missing");
        assertThatThrownBy(() -> Mounts.mount("/dev/loop77", target, "ext4", 0, null))
                .isInstanceOf(LinuxException.class)
                .hasMessage("mount(/dev/loop77, " + target + ", ext4, 0): No such file or directory (ENOENT)");
        assertThatThrownBy(() -> Mounts.unmount(directory, Mounts.MNT_DETACH))
                .hasMessage("umount2(" + directory + ", 0x2): Invalid argument (EINVAL)");
    }

    @Test
    void bindReadOnlyRefusesWrites() throws Exception {
        Path source = Files.createDirectory(directory.resolve("source"));
        Files.writeString(source.resolve("file"), "there");
        Path target = Files.createDirectory(directory.resolve("target"));
        Mounts.bind(source, target, false);
        try {
            Mounts.makePrivate(target);
            Mounts.remountBind(target, Mounts.MS_RDONLY);
            assertThat(target.resolve("file")).hasContent("there");
            assertThatThrownBy(() -> Fd.open(target.resolve("new"), Fd.O_WRONLY | Fd.O_CREAT))
                    .hasMessageEndingWith("(EROFS)");
            Files.writeString(source.resolve("new"), "");
        } finally {
            Mounts.unmount(target, 0);
        }
    }

    @Test
    void privateAndSlaveArePropagationTypes() throws Exception {
        Path peer = Files.createDirectory(directory.resolve("peer"));
        Mounts.mount("peer", peer, "tmpfs", 0, null);
        try {
            Mounts.makePrivate(peer);
            assertThat(propagation(peer)).isEmpty();
            new ProcessBuilder("mount", "--make-shared", peer.toString())
                    .start()
                    .waitFor();
            assertThat(propagation(peer)).startsWith("shared:");
            Mounts.makeSlave(peer);
            assertThat(propagation(peer)).doesNotContain("shared:");
        } finally {
            Mounts.unmount(peer, 0);
        }
    }

    private static String propagation(Path target) throws Exception {
        return Mounts.list().stream()
                .filter(m -> m.target().equals(target))
                .findFirst()
                .orElseThrow()
                .propagation();
    }

    @Test
    void idmappedBindShiftsIds() throws Exception {
        Path source = Files.createDirectory(directory.resolve("source"));
        Path target = Files.createDirectory(directory.resolve("target"));
        Mounts.mount("ids", source, "tmpfs", 0, null);
        try (Fd users = Namespaces.user(
                List.of(new IdMap(0, 100_000, 1000), new IdMap(1000, 200_000, 1)),
                List.of(new IdMap(0, 300_000, 65536)))) {
            Files.writeString(source.resolve("roots"), "");
            Files.writeString(source.resolve("users"), "");
            Files.setAttribute(source.resolve("users"), "unix:uid", 1000);
            Files.setAttribute(source.resolve("users"), "unix:gid", 7);
            Mounts.idmappedBind(source, target, users, false);
            try {
                assertThat(Files.getAttribute(target.resolve("roots"), "unix:uid"))
                        .isEqualTo(100_000);
                assertThat(Files.getAttribute(target.resolve("users"), "unix:uid"))
                        .isEqualTo(200_000);
                assertThat(Files.getAttribute(target.resolve("users"), "unix:gid"))
                        .isEqualTo(300_007);
            } finally {
                Mounts.unmount(target, 0);
            }
        } finally {
            Mounts.unmount(source, 0);
        }
    }

    @Test
    void parsesOptionalFieldsAndEscapes() {
        String text = """
                36 35 98:0 /mnt1 /mnt\\0402\\134n rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue
                37 36 0:41 / /\303\244 ro - tmpfs none rw
                """;
        List<Mount> mounts = Mounts.parse(text.getBytes(StandardCharsets.ISO_8859_1));
        assertThat(mounts)
                .containsExactly(
                        new Mount(
                                36,
                                35,
                                98,
                                0,
                                "/mnt1",
                                Path.of("/mnt 2\\n"),
                                "rw,noatime",
                                "master:1 shared:7",
                                "ext3",
                                "/dev/root",
                                "rw,errors=continue"),
                        new Mount(37, 36, 0, 41, "/", Path.of("/ä"), "ro", "", "tmpfs", "none", "rw"));
    }
}
