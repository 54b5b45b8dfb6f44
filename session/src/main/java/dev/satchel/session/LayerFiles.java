package dev.satchel.session;

import dev.satchel.linux.DirectoryNames;
import dev.satchel.linux.Errno;
import dev.satchel.linux.Fd;
import dev.satchel.linux.FileStatus;
import dev.satchel.linux.InnerFiles;
import dev.satchel.linux.LinuxException;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Lays the layers of an image over each other in a directory (OCI image-spec, "Image Layer Filesystem Changeset"). Every path is
 * resolved in that directory, links and {@code ..} too, so that nothing in a layer can reach out of it.
 */
final class LayerFiles implements AutoCloseable {
    private static final String WHITEOUT = ".wh.";
    private static final String OPAQUE = ".wh..wh..opq";
    private static final int NAMES_MAX = 1 << 20;
    private static final int DEPTH_MAX = 256;
    private static final int S_IFIFO = 0x1000;
    private static final int S_IFCHR = 0x2000;
    private static final int S_IFBLK = 0x6000;
    private static final int DIRECTORY = Fd.O_PATH | Fd.O_DIRECTORY;

    private final Fd root;
    private final long diskBytes;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment buffer = arena.allocate(1 << 18);
    private final byte[] bytes = new byte[1 << 18];

    /** The directory of the entry before: most have the same. */
    private @Nullable Fd parent;

    private String parentPath = "";

    /** @param root open; stays the caller's */
    LayerFiles(Fd root, long diskBytes) {
        this.root = root;
        this.diskBytes = diskBytes;
    }

    /** What a layer takes away from those below it; to be read before its files are laid over them. */
    static List<String> whiteouts(InputStream tar) throws IOException {
        List<String> whiteouts = new ArrayList<>();
        TarReader reader = new TarReader(tar);
        for (TarReader.Entry entry = reader.next(); entry != null; entry = reader.next()) {
            String path = path(entry.name());
            if (last(path).startsWith(WHITEOUT)) {
                if (whiteouts.size() == NAMES_MAX) {
                    throw new IOException("a layer takes more than " + NAMES_MAX + " files away");
                }
                whiteouts.add(path);
            }
        }
        return whiteouts;
    }

    /** Takes away what these say. */
    void remove(List<String> whiteouts) throws IOException {
        for (String path : whiteouts) {
            Fd directory = existing(above(path));
            if (directory == null) {
                continue;
            }
            try (directory) {
                String name = last(path);
                if (name.equals(OPAQUE)) {
                    for (String inside : names(directory)) {
                        remove(directory, inside, 0);
                    }
                } else if (name.length() > WHITEOUT.length()
                        && !name.equals(WHITEOUT + ".")
                        && !name.equals(WHITEOUT + "..")) {
                    remove(directory, name.substring(WHITEOUT.length()), 0);
                }
            }
        }
    }

    /** Lays a layer over what is there. */
    void add(InputStream tar) throws IOException {
        TarReader reader = new TarReader(tar);
        for (TarReader.Entry entry = reader.next(); entry != null; entry = reader.next()) {
            String path = path(entry.name());
            if (!last(path).startsWith(WHITEOUT)) {
                try {
                    add(reader, entry, path);
                } catch (LinuxException e) {
                    throw new IOException("the image's /" + path + " can't be made, " + e.getMessage(), e);
                }
            }
        }
    }

    private void add(TarReader reader, TarReader.Entry entry, String path) throws IOException {
        if (entry.bytes() > diskBytes) {
            throw new IOException(
                    "the image's /" + path + " has " + entry.bytes() + " bytes, more than the whole disk");
        }
        if (path.isEmpty()) {
            if (entry.type() == TarReader.DIRECTORY) {
                attributes(root, ".", entry);
            }
            return;
        }
        Fd directory = parent(above(path));
        String name = last(path);
        FileStatus there = status(directory, name);
        if (there != null && !(there.isDirectory() && entry.type() == TarReader.DIRECTORY)) {
            remove(directory, name, 0);
            // It may have been a part of the path that is kept open.
            forgetParent();
            directory = parent(above(path));
        }
        switch (entry.type()) {
            case TarReader.DIRECTORY -> {
                if (there == null || !there.isDirectory()) {
                    InnerFiles.makeDirectory(directory, name);
                }
            }
            case TarReader.LINK -> InnerFiles.makeLink(directory, name, entry.target());
            case TarReader.HARD_LINK -> {
                String target = path(entry.target());
                Fd of = existing(above(target));
                if (of == null || target.isEmpty()) {
                    throw new IOException("the image's /" + path + " is a link to /" + target + ", which is not there");
                }
                try (of) {
                    InnerFiles.makeName(directory, name, of, last(target));
                }
                // All of it is its target's.
                return;
            }
            case TarReader.FIFO -> InnerFiles.makeNode(directory, name, S_IFIFO | 0600, 0, 0);
            case TarReader.CHARACTER_DEVICE ->
                InnerFiles.makeNode(directory, name, S_IFCHR | 0600, entry.major(), entry.minor());
            case TarReader.BLOCK_DEVICE ->
                InnerFiles.makeNode(directory, name, S_IFBLK | 0600, entry.major(), entry.minor());
            default -> {
                try (Fd file = directory.openInRoot(name, Fd.O_WRONLY | Fd.O_CREAT | Fd.O_EXCL, 0600, false)) {
                    contents(reader, entry, file);
                }
            }
        }
        attributes(directory, name, entry);
    }

    private void contents(TarReader reader, TarReader.Entry entry, Fd file) throws IOException {
        List<Long> pieces = entry.pieces().isEmpty() && entry.bytes() > 0 ? List.of(0L, entry.bytes()) : entry.pieces();
        boolean sparse = !entry.pieces().isEmpty();
        for (int i = 0; i < pieces.size(); i += 2) {
            long at = pieces.get(i);
            long left = pieces.get(i + 1);
            while (left > 0) {
                int count = reader.read(bytes, 0, (int) Math.min(bytes.length, left));
                if (count < 0) {
                    throw new IOException("the archive's " + entry.name() + " ends in the middle");
                }
                MemorySegment.copy(bytes, 0, buffer, ValueLayout.JAVA_BYTE, 0, count);
                file.writeFully(buffer.asSlice(0, count), at);
                at += count;
                left -= count;
            }
        }
        if (sparse) {
            file.truncate(entry.bytes());
        }
    }

    private static void attributes(Fd directory, String name, TarReader.Entry entry) throws IOException {
        InnerFiles.setAttributes(
                directory,
                name,
                entry.type() == TarReader.LINK,
                entry.uid(),
                entry.gid(),
                entry.mode(),
                entry.seconds(),
                entry.nanos());
        for (Map.Entry<String, byte[]> attribute : entry.attributes().entrySet()) {
            // The labels of another host's policy and of its overlay mean nothing here.
            if (!attribute.getKey().equals("security.selinux")
                    && !attribute.getKey().startsWith("trusted.")) {
                InnerFiles.setAttribute(directory, name, attribute.getKey(), attribute.getValue());
            }
        }
    }

    /** Makes a directory and those above it, if they are not there. */
    void makeDirectories(String path) throws IOException {
        String inside = path(path);
        if (!inside.isEmpty()) {
            Fd _ = parent(inside);
        }
    }

    /** The directory of that path, made if need be; stays this one's. */
    private Fd parent(String path) throws IOException {
        Fd kept = parent;
        if (kept != null && parentPath.equals(path)) {
            return kept;
        }
        Fd found = existing(path);
        if (found == null) {
            Fd above = parent(above(path));
            try {
                InnerFiles.makeDirectory(above, last(path));
            } catch (LinuxException e) {
                throw new IOException("the image has something else where /" + path + " is a directory: rebuild it", e);
            }
            InnerFiles.setAttributes(above, last(path), false, 0, 0, 0755, 0, 0);
            found = root.openInRoot(path, DIRECTORY, 0, true);
        }
        forgetParent();
        parent = found;
        parentPath = path;
        return found;
    }

    private void forgetParent() throws IOException {
        if (parent != null) {
            parent.close();
            parent = null;
        }
    }

    /** The directory of that path; null if there is none. */
    private @Nullable Fd existing(String path) throws IOException {
        try {
            return root.openInRoot(path.isEmpty() ? "." : path, DIRECTORY, 0, true);
        } catch (LinuxException e) {
            if (e.errno() == Errno.ENOENT || e.errno() == Errno.ENOTDIR || e.errno() == Errno.ELOOP) {
                return null;
            }
            throw e;
        }
    }

    private static @Nullable FileStatus status(Fd directory, String name) throws IOException {
        try {
            return FileStatus.of(directory, name);
        } catch (LinuxException e) {
            if (e.errno() == Errno.ENOENT) {
                return null;
            }
            throw e;
        }
    }

    private static List<String> names(Fd directory) throws IOException {
        try (Fd listed = directory.openInRoot(".", Fd.O_RDONLY | Fd.O_DIRECTORY, 0, false)) {
            return DirectoryNames.read(listed, NAMES_MAX).names();
        }
    }

    /** Removes whatever has that name, with all that is in it. */
    private static void remove(Fd directory, String name, int depth) throws IOException {
        if (depth > DEPTH_MAX) {
            throw new IOException("the image has directories more than " + DEPTH_MAX + " deep");
        }
        FileStatus there = status(directory, name);
        if (there == null) {
            return;
        }
        if (!there.isDirectory()) {
            boolean _ = InnerFiles.remove(directory, name);
            return;
        }
        try (Fd inside = directory.openInRoot(name, DIRECTORY, 0, false)) {
            for (String each : names(inside)) {
                remove(inside, each, depth + 1);
            }
        }
        InnerFiles.removeDirectory(directory, name);
    }

    /** A path without what says nothing; empty for the root. */
    private static String path(String name) throws IOException {
        StringBuilder path = new StringBuilder();
        for (String part : name.split("/", -1)) {
            if (part.equals("..")) {
                throw new IOException(
                        "the archive names " + name + ", which leads out of it: it is damaged or hostile");
            }
            if (!part.isEmpty() && !part.equals(".")) {
                path.append(path.isEmpty() ? "" : "/").append(part);
            }
        }
        return path.toString();
    }

    private static String above(String path) {
        int slash = path.lastIndexOf('/');
        return slash < 0 ? "" : path.substring(0, slash);
    }

    private static String last(String path) {
        return path.substring(path.lastIndexOf('/') + 1);
    }

    @Override
    public void close() throws IOException {
        forgetParent();
        arena.close();
    }
}
