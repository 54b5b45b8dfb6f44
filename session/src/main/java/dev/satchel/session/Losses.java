package dev.satchel.session;

import dev.satchel.linux.fuse.FuseMount;
import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.ImageManifest;
import dev.satchel.vault.SlotRange;
import dev.satchel.vault.Snapshot;
import dev.satchel.vault.TreeDamage;
import dev.satchel.vault.Vault;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;

/**
 * Finds out what damage to a vault means: which snapshots, and which files of their disks. The disk is served with zeros where it is
 * lost, and e2fsprogs' debugfs(8) asked which inodes have these blocks ({@code icheck}) and what they are called ({@code ncheck}): it
 * neither mounts nor trusts what is left, and needs no tables but those that it reads.
 */
final class Losses {
    private static final int BLOCK_BYTES = 4096;

    /** So many blocks are looked up, 3 GiB of disk; a disk of which more is lost has more files than anybody wants listed. */
    private static final int BLOCKS_MAX = 800_000;

    /** So many at once: an argument has at most 128 KiB (execve(2)). */
    private static final int BLOCKS_AT_ONCE = 8_000;

    private static final int INODES_AT_ONCE = 8_000;

    /** Inodes below are the file system's own, but for the root directory. */
    private static final long INODE_FIRST = 11;

    private static final long INODE_ROOT = 2;

    /** Where the first copy of the superblock is. */
    private static final String SUPERBLOCK_COPY = "32768";

    private final Vault vault;
    private final Host host;
    private final Progress progress;

    Losses(Vault vault, Host host, Progress progress) {
        this.vault = vault;
        this.host = host;
        this.progress = progress;
    }

    /** The files of one disk. */
    private record DiskFiles(List<String> names, boolean more, boolean fileSystem) {
        static final DiskFiles NONE = new DiskFiles(List.of(), false, false);
    }

    /** By owner, newest first. */
    List<LossInfo> of(List<TreeDamage> damage) throws IOException {
        Map<String, List<TreeDamage>> together = new LinkedHashMap<>();
        for (TreeDamage tree : damage) {
            together.computeIfAbsent(
                            tree.snapshot().map(s -> s.id().toString()).orElse("image " + tree.owner()),
                            key -> new ArrayList<>())
                    .add(tree);
        }
        Map<ChunkRef, DiskFiles> known = new HashMap<>();
        List<LossInfo> losses = new ArrayList<>();
        for (List<TreeDamage> trees : together.values()) {
            TreeDamage first = trees.getFirst();
            DiskFiles files = DiskFiles.NONE;
            boolean disk = false;
            boolean processes = false;
            long chunks = 0;
            for (TreeDamage tree : trees) {
                chunks += tree.chunks();
                processes |= Snapshots.isOfProcesses(tree.tree());
                if (Snapshots.isVolume(tree.tree())) {
                    disk = true;
                    progress.at("looking up the files in what is lost of " + tree.owner(), 0, 0);
                    ChunkRef root = tree.map().root().orElseThrow();
                    DiskFiles found = known.get(root);
                    if (found == null) {
                        found = files(tree);
                        known.put(root, found);
                    }
                    files = found;
                }
            }
            losses.add(new LossInfo(
                    first.owner(),
                    first.snapshot().map(Snapshot::id),
                    first.snapshot().map(Snapshot::created),
                    chunks,
                    processes,
                    disk,
                    files.names(),
                    files.more(),
                    files.fileSystem()));
        }
        losses.sort((a, b) -> a.owner().equals(b.owner())
                ? b.created().flatMap(when -> a.created().map(when::compareTo)).orElse(0)
                : a.owner().compareTo(b.owner()));
        return losses;
    }

    private long diskBytes(TreeDamage tree) throws IOException {
        if (tree.snapshot().isPresent()) {
            return Snapshots.diskBytes(tree.snapshot().get());
        }
        Optional<ImageManifest> image = vault.image(tree.owner());
        return image.map(ImageManifest::diskBytes).orElse(tree.map().slots() * ChunkRef.LENGTH_MAX);
    }

    private DiskFiles files(TreeDamage tree) throws IOException {
        long size = diskBytes(tree);
        List<Long> blocks = new ArrayList<>();
        boolean more = false;
        for (SlotRange range : tree.lost()) {
            long from = range.first() * ChunkRef.LENGTH_MAX / BLOCK_BYTES;
            long to = Math.min(size, range.end() * ChunkRef.LENGTH_MAX) / BLOCK_BYTES;
            for (long block = from; block < to; block++) {
                if (blocks.size() == BLOCKS_MAX) {
                    more = true;
                    break;
                }
                blocks.add(block);
            }
        }
        Path directory = Files.createTempDirectory(
                host.state(),
                "lost-",
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        try {
            Path at = Files.createDirectory(directory.resolve("disk"));
            try (FuseMount _ = FuseMount.mount(
                    at, "satchel-lost", Map.of("disk", new WhatIsLeft(vault, tree, size)), FuseMount.Options.DEFAULT)) {
                return files(at.resolve("disk"), blocks, more);
            }
        } finally {
            DirectoryTree.delete(directory);
        }
    }

    private static DiskFiles files(Path disk, List<Long> blocks, boolean more) throws IOException {
        TreeSet<Long> inodes = new TreeSet<>();
        boolean fileSystem = false;
        for (int from = 0; from < blocks.size(); from += BLOCKS_AT_ONCE) {
            List<Long> some = blocks.subList(from, Math.min(blocks.size(), from + BLOCKS_AT_ONCE));
            for (String line : debugfs(disk, "icheck", some)) {
                long inode = numberAfterTab(line);
                if (inode >= 0) {
                    inodes.add(inode);
                }
            }
            fileSystem |= hasTables(disk, some);
        }
        TreeSet<String> names = new TreeSet<>();
        TreeSet<Long> unnamed = new TreeSet<>();
        for (Long inode : List.copyOf(inodes)) {
            if (inode < INODE_FIRST && inode != INODE_ROOT) {
                fileSystem = true;
            } else {
                unnamed.add(inode);
            }
        }
        List<Long> asked = new ArrayList<>(unnamed);
        for (int from = 0; from < asked.size(); from += INODES_AT_ONCE) {
            List<Long> some = asked.subList(from, Math.min(asked.size(), from + INODES_AT_ONCE));
            for (String line : debugfs(disk, "ncheck", some)) {
                int tab = line.indexOf('\t');
                long inode = tab < 0 ? -1 : number(line.substring(0, tab));
                if (inode >= 0) {
                    unnamed.remove(inode);
                    names.add(line.substring(tab + 1));
                }
            }
        }
        // What lost its directory, too, has no name any more.
        List<String> shown = new ArrayList<>();
        for (String name : names) {
            if (shown.size() < LossInfo.FILES_MAX) {
                shown.add(name);
            }
        }
        return new DiskFiles(shown, more || names.size() > shown.size() || !unnamed.isEmpty(), fileSystem);
    }

    /** Whether one of the blocks has a group's inodes, a bitmap or descriptors: in use, but no inode's. */
    private static boolean hasTables(Path disk, List<Long> blocks) throws IOException {
        List<long[]> tables = new ArrayList<>();
        for (String line : debugfs(disk, "stats", List.of())) {
            // Lines such as " Group  0: block bitmap at 1025, inode bitmap at 1041, inode table at 1057"
            int at = line.indexOf("block bitmap at ");
            if (at >= 0) {
                for (String part : line.substring(at).split(", ", -1)) {
                    long block = number(part.substring(part.lastIndexOf(' ') + 1));
                    if (block >= 0) {
                        tables.add(new long[] {block, block + (part.startsWith("inode table") ? 512 : 1)});
                    }
                }
            }
        }
        for (long block : blocks) {
            if (block == 0) {
                return true;
            }
            for (long[] table : tables) {
                if (block >= table[0] && block < table[1]) {
                    return true;
                }
            }
        }
        return false;
    }

    private static long numberAfterTab(String line) {
        int tab = line.indexOf('\t');
        return tab < 0 ? -1 : number(line.substring(tab + 1));
    }

    /** -1 for what is no number. */
    private static long number(String text) {
        if (text.isEmpty() || text.length() > 18) {
            return -1;
        }
        for (int i = 0; i < text.length(); i++) {
            if (text.charAt(i) < '0' || text.charAt(i) > '9') {
                return -1;
            }
        }
        return Long.parseLong(text);
    }

    private static List<String> debugfs(Path disk, String command, List<Long> numbers) throws IOException {
        StringBuilder request = new StringBuilder(command);
        for (long number : numbers) {
            request.append(' ').append(number);
        }
        List<String> lines = debugfs(List.of("debugfs", "-c", "-R", request.toString(), disk.toString()));
        if (lines.isEmpty()) {
            // The superblock is lost: its first copy.
            lines = debugfs(List.of(
                    "debugfs",
                    "-c",
                    "-s",
                    SUPERBLOCK_COPY,
                    "-b",
                    Integer.toString(BLOCK_BYTES),
                    "-R",
                    request.toString(),
                    disk.toString()));
        }
        return lines;
    }

    private static List<String> debugfs(List<String> line) throws IOException {
        // What it has to say about a disk with holes is no news.
        Process process = new ProcessBuilder(line)
                .redirectInput(ProcessBuilder.Redirect.from(new java.io.File("/dev/null")))
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        try (BufferedReader reader = process.inputReader(StandardCharsets.UTF_8)) {
            List<String> lines = new ArrayList<>();
            for (String said = reader.readLine(); said != null; said = reader.readLine()) {
                lines.add(said);
            }
            int _ = process.waitFor();
            return lines;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while the files in what is lost were looked up", e);
        } finally {
            process.destroy();
        }
    }
}
