package dev.satchel.session;

import dev.satchel.linux.Fd;
import dev.satchel.linux.InnerFiles;
import dev.satchel.linux.LinuxException;
import dev.satchel.linux.zstd.ZstdInputStream;
import java.io.BufferedInputStream;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.LongSupplier;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;
import org.jspecify.annotations.Nullable;

/**
 * A container image that others have made: an OCI image layout (image-spec, "OCI Image Layout"), as a directory or as a tar archive of one,
 * or what {@code docker save} writes, both also compressed by gzip or zstd. Nothing in it is trusted: what is named by a digest is compared with it before it is used.
 */
final class OciImage implements Closeable {
    private static final int JSON_BYTES_MAX = 4 << 20;
    private static final int FILES_MAX = 100_000;
    /** Of an archive's names and links together; those of an image have some eighty each. */
    private static final long NAME_CHARS_MAX = 16 << 20;

    /** An archive that is compressed does not take the host's last space. */
    private static final long FREE_BYTES_MIN = 1L << 30;

    private static final int LAYERS_MAX = 512;
    private static final int INDEX_DEPTH_MAX = 4;
    private static final int PASSWD_BYTES_MAX = 1 << 20;
    private static final String SHA256 = "sha256:";

    /** The parts of an image by their names; a directory or an archive. */
    private interface Place extends Closeable {
        /** A part, from its beginning; null if there is none. */
        @Nullable
        InputStream open(String name) throws IOException;
    }

    /**
     * A layer.
     *
     * @param name its file
     * @param digest of its file, hexadecimal; empty if nothing says it
     * @param contents digest of the tar in it, hexadecimal; empty if nothing says it
     */
    private record Layer(String name, String digest, String contents) {}

    /**
     * What the image wants to be run.
     *
     * @param command entrypoint and arguments; empty if it says nothing
     * @param user as in the image's configuration: {@code user[:group]}, names or numbers, or empty
     * @param directory where it runs, or empty
     */
    record Config(
            List<String> command,
            Map<String, String> environment,
            String user,
            String directory,
            Map<String, String> labels) {}

    private final Place place;
    private final List<Layer> layers;
    private final Config config;

    private OciImage(Place place, List<Layer> layers, Config config) {
        this.place = place;
        this.layers = layers;
        this.config = config;
    }

    Config config() {
        return config;
    }

    // ---- finding the parts

    /**
     * The image at that path; empty if it is neither a layout nor an archive of an image, but (say) a root file system's tar.
     *
     * @param scratch where an archive that is compressed is unpacked to, in a file without a name
     * @param bytesMax the longest that may become
     */
    static Optional<OciImage> at(Path path, Path scratch, long bytesMax) throws IOException {
        Place place;
        if (Files.isDirectory(path)) {
            place = directory(path);
        } else {
            Optional<Place> archive = archive(path, scratch, bytesMax);
            if (archive.isEmpty()) {
                return Optional.empty();
            }
            place = archive.get();
        }
        try {
            return Optional.of(read(place, path));
        } catch (IOException | RuntimeException e) {
            place.close();
            throw e;
        }
    }

    private static Place directory(Path path) throws IOException {
        if (!Files.isRegularFile(path.resolve("index.json"))) {
            throw new SatchelException(
                    SatchelException.Kind.FAILED,
                    path + " has no index.json, so it is no OCI image layout: name one, or a root file system's tar");
        }
        return new Place() {
            @Override
            public @Nullable InputStream open(String name) throws IOException {
                Path file = path.resolve(name);
                return Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS) ? Files.newInputStream(file) : null;
            }

            @Override
            public void close() {}
        };
    }

    /** Where a file is in an archive, or which other it stands for. */
    private record Part(long offset, long bytes, @Nullable String link) {}

    private static Optional<Place> archive(Path path, Path scratch, long bytesMax) throws IOException {
        boolean compressed;
        try (InputStream file = Files.newInputStream(path);
                InputStream tar = plain(file)) {
            compressed = tar instanceof Compressed;
            // A root file system's is not unpacked here: it is known by its first names.
            if (compressed && !isImage(parts(tar, () -> 0))) {
                return Optional.empty();
            }
        } catch (EOFException | ZipException damaged) {
            return Optional.empty(); // tar says what is wrong with it
        }
        FileChannel channel =
                compressed ? decompressed(path, scratch, bytesMax) : FileChannel.open(path, StandardOpenOption.READ);
        boolean taken = false;
        try {
            Range all = new Range(channel, 0, channel.size());
            Map<String, Part> parts = parts(all, () -> all.position);
            if (!isImage(parts)) {
                return Optional.empty();
            }
            taken = true;
            return Optional.of(new Place() {
                @Override
                public @Nullable InputStream open(String name) {
                    Part part = parts.get(name);
                    if (part != null && part.link() != null) {
                        part = parts.get(part.link());
                    }
                    return part == null || part.link() != null ? null : new Range(channel, part.offset(), part.bytes());
                }

                @Override
                public void close() throws IOException {
                    channel.close();
                }
            });
        } finally {
            if (!taken) {
                channel.close();
            }
        }
    }

    private static boolean isImage(Map<String, Part> parts) {
        return parts.containsKey("index.json") || parts.containsKey("manifest.json");
    }

    /** What is in a compressed archive, in a file that goes with its channel. */
    private static FileChannel decompressed(Path path, Path scratch, long bytesMax) throws IOException {
        long room = Math.min(bytesMax, Files.getFileStore(scratch).getUsableSpace() - FREE_BYTES_MIN);
        Path unpacked = Files.createTempFile(scratch, "image-", ".tar");
        FileChannel channel = FileChannel.open(unpacked, StandardOpenOption.READ, StandardOpenOption.WRITE);
        try (InputStream file = Files.newInputStream(path);
                InputStream tar = plain(file)) {
            Files.delete(unpacked);
            byte[] buffer = new byte[1 << 16];
            for (int count = tar.read(buffer); count >= 0; count = tar.read(buffer)) {
                if (channel.position() + count > room) {
                    throw new SatchelException(
                            SatchelException.Kind.FAILED,
                            path + " has more than " + Math.max(0, room)
                                    + " bytes when it is unpacked, for which there is" + " no room in " + scratch
                                    + ": make room, or unpack it elsewhere first");
                }
                ByteBuffer bytes = ByteBuffer.wrap(buffer, 0, count);
                while (bytes.hasRemaining()) {
                    int _ = channel.write(bytes);
                }
            }
            return channel;
        } catch (IOException | RuntimeException e) {
            channel.close();
            throw e;
        }
    }

    /**
     * The files of an archive that is not compressed; none if it can't be an image's.
     *
     * @param position how far it has been read
     */
    private static Map<String, Part> parts(InputStream archive, LongSupplier position) throws IOException {
        Map<String, Part> parts = new HashMap<>();
        long chars = 0;
        TarReader reader = new TarReader(archive);
        try {
            for (TarReader.Entry entry = reader.next(); entry != null; entry = reader.next()) {
                String name = entry.name().startsWith("./") ? entry.name().substring(2) : entry.name();
                chars += name.length() + entry.target().length();
                if (parts.size() == FILES_MAX || chars > NAME_CHARS_MAX) {
                    return Map.of();
                }
                if (entry.type() == TarReader.FILE) {
                    parts.put(name, new Part(position.getAsLong(), entry.bytes(), null));
                } else if (entry.type() == TarReader.LINK) {
                    parts.put(
                            name,
                            new Part(
                                    0,
                                    0,
                                    Path.of(name)
                                            .resolveSibling(entry.target())
                                            .normalize()
                                            .toString()));
                } else if (entry.type() == TarReader.HARD_LINK) {
                    parts.put(name, new Part(0, 0, entry.target()));
                }
                // A root file system: an image's archive has none of these at its top.
                if (name.startsWith("etc/") || name.startsWith("usr/") || name.startsWith("bin/")) {
                    return Map.of();
                }
            }
        } catch (IOException none) {
            // It is not for us; tar says what is wrong with it.
            return Map.of();
        }
        return parts;
    }

    /** A range of a file; its position is not the channel's. */
    private static final class Range extends InputStream {
        private final FileChannel channel;
        private final long end;
        private long position;

        Range(FileChannel channel, long offset, long bytes) {
            this.channel = channel;
            position = offset;
            end = offset + bytes;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] target, int from, int count) throws IOException {
            if (position >= end) {
                return count == 0 ? 0 : -1;
            }
            int got = channel.read(ByteBuffer.wrap(target, from, (int) Math.min(count, end - position)), position);
            if (got > 0) {
                position += got;
            }
            return got;
        }

        @Override
        public long skip(long count) {
            long step = Math.clamp(count, 0, end - position);
            position += step;
            return step;
        }
    }

    // ---- what it is made of

    private static OciImage read(Place place, Path path) throws IOException {
        JsonObject config;
        List<Layer> layers = new ArrayList<>();
        byte[] index = small(place, "index.json");
        if (index != null) {
            JsonObject manifest = manifest(place, Json.read(index), path);
            config = Json.read(blob(place, digest(manifest.object("config"))));
            List<String> contents = diffIds(config);
            List<JsonObject> described = objects(manifest, "layers");
            for (int i = 0; i < described.size(); i++) {
                String digest = digest(described.get(i));
                layers.add(new Layer(file(digest), digest, i < contents.size() ? contents.get(i) : ""));
            }
        } else {
            byte[] manifests = small(place, "manifest.json");
            if (manifests == null) {
                throw malformed(path, "it has neither index.json nor manifest.json");
            }
            // It is a list, not an object.
            JsonObject listed = Json.read(("{\"manifests\":" + new String(manifests, StandardCharsets.UTF_8) + "}")
                    .getBytes(StandardCharsets.UTF_8));
            List<JsonObject> images = objects(listed, "manifests");
            if (images.size() != 1) {
                throw malformed(path, "it has " + images.size() + " images: save the one that is meant alone");
            }
            String name = images.getFirst().text("Config");
            byte[] bytes = small(place, name);
            if (bytes == null) {
                throw malformed(path, name + " is missing");
            }
            String digest = hex(name.substring(name.lastIndexOf('/') + 1).replace(".json", ""));
            if (!digest.isEmpty() && !digest.equals(sha256(bytes))) {
                throw damaged(name);
            }
            config = Json.read(bytes);
            List<String> contents = diffIds(config);
            List<String> files = images.getFirst().texts("Layers");
            for (int i = 0; i < files.size(); i++) {
                layers.add(new Layer(files.get(i), "", i < contents.size() ? contents.get(i) : ""));
            }
        }
        if (layers.size() > LAYERS_MAX) {
            throw malformed(path, "it has " + layers.size() + " layers");
        }
        String system = config.has("os") ? config.text("os") : "linux";
        String architecture = config.has("architecture") ? config.text("architecture") : own();
        if (!system.equals("linux") || !architecture.equals(own())) {
            throw new SatchelException(
                    SatchelException.Kind.FAILED,
                    path + " is an image for " + system + " on " + architecture + ", this host is linux on " + own()
                            + ": get the image for that");
        }
        return new OciImage(
                place, layers, wanted(config.has("config") ? config.object("config") : new JsonObject(Map.of())));
    }

    /** The one manifest for this host. */
    private static JsonObject manifest(Place place, JsonObject index, Path path) throws IOException {
        Set<String> digests = new LinkedHashSet<>();
        candidates(place, index, 0, digests);
        if (digests.size() != 1) {
            throw malformed(
                    path,
                    digests.isEmpty()
                            ? "it has no image for linux on " + own()
                            : "it has " + digests.size() + " images for linux on " + own()
                                    + ": copy the one that is meant to a layout of its own");
        }
        return Json.read(blob(place, digests.iterator().next()));
    }

    private static void candidates(Place place, JsonObject index, int depth, Set<String> digests) throws IOException {
        for (JsonObject described : objects(index, "manifests")) {
            String type = described.has("mediaType") ? described.text("mediaType") : "";
            if (type.endsWith("index.v1+json") || type.endsWith("manifest.list.v2+json")) {
                if (depth == INDEX_DEPTH_MAX) {
                    throw new IOException("the image's indexes name each other more than " + INDEX_DEPTH_MAX + " deep");
                }
                candidates(place, Json.read(blob(place, digest(described))), depth + 1, digests);
                continue;
            }
            boolean ours = true;
            if (described.has("platform")) {
                JsonObject platform = described.object("platform");
                ours = platform.text("os").equals("linux")
                        && platform.text("architecture").equals(own());
            }
            if (ours) {
                digests.add(digest(described));
            }
        }
    }

    /** This host's architecture as image-spec (and Go) calls it. */
    private static String own() {
        String architecture = System.getProperty("os.arch");
        return switch (architecture) {
            case "x86_64", "amd64" -> "amd64";
            case "aarch64" -> "arm64";
            default -> architecture;
        };
    }

    private static Config wanted(JsonObject config) throws IOException {
        List<String> command = new ArrayList<>();
        for (String part : new String[] {"Entrypoint", "Cmd"}) {
            if (config.has(part)) {
                command.addAll(config.texts(part));
            }
        }
        Map<String, String> environment = new LinkedHashMap<>();
        for (String variable : config.has("Env") ? config.texts("Env") : List.<String>of()) {
            int equals = variable.indexOf('=');
            if (equals > 0) {
                environment.put(variable.substring(0, equals), variable.substring(equals + 1));
            }
        }
        return new Config(
                command,
                environment,
                config.has("User") ? config.text("User") : "",
                config.has("WorkingDir") ? config.text("WorkingDir") : "",
                config.has("Labels") ? config.textMap("Labels") : Map.of());
    }

    private static List<String> diffIds(JsonObject config) throws IOException {
        List<String> contents = new ArrayList<>();
        if (config.has("rootfs") && config.object("rootfs").has("diff_ids")) {
            for (String id : config.object("rootfs").texts("diff_ids")) {
                contents.add(id.startsWith(SHA256) ? hex(id.substring(SHA256.length())) : "");
            }
        }
        return contents;
    }

    private static List<JsonObject> objects(JsonObject object, String name) throws IOException {
        return object.has(name) ? object.objects(name) : List.of();
    }

    /** A descriptor's digest, hexadecimal. */
    private static String digest(JsonObject described) throws IOException {
        String digest = described.text("digest");
        String hex = digest.startsWith(SHA256) ? hex(digest.substring(SHA256.length())) : "";
        if (hex.isEmpty()) {
            throw new IOException("the image names a part by '" + digest + "': only sha256 is known here");
        }
        return hex;
    }

    /** 64 digits, or nothing: it becomes a file's name. */
    private static String hex(String text) {
        boolean digits = text.length() == 64;
        for (int i = 0; i < text.length() && digits; i++) {
            digits = (text.charAt(i) >= '0' && text.charAt(i) <= '9')
                    || (text.charAt(i) >= 'a' && text.charAt(i) <= 'f');
        }
        return digits ? text : "";
    }

    private static String file(String digest) {
        return "blobs/sha256/" + digest;
    }

    private static byte[] blob(Place place, String digest) throws IOException {
        byte[] bytes = small(place, file(digest));
        if (bytes == null) {
            throw new IOException("the image's " + file(digest) + " is missing: get the image again");
        }
        if (!sha256(bytes).equals(digest)) {
            throw damaged(file(digest));
        }
        return bytes;
    }

    private static byte @Nullable [] small(Place place, String name) throws IOException {
        try (InputStream in = place.open(name)) {
            if (in == null) {
                return null;
            }
            byte[] bytes = in.readNBytes(JSON_BYTES_MAX + 1);
            if (bytes.length > JSON_BYTES_MAX) {
                throw new IOException("the image's " + name + " has more than " + JSON_BYTES_MAX + " bytes");
            }
            return bytes;
        }
    }

    private static MessageDigest digest() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    private static String sha256(byte[] bytes) {
        return HexFormat.of().formatHex(digest().digest(bytes));
    }

    private static IOException damaged(String name) {
        return new SatchelException(
                SatchelException.Kind.NOT_AUTHENTIC,
                "the image's " + name + " is damaged, its digest is another: get the image again");
    }

    private static SatchelException malformed(Path path, String why) {
        return new SatchelException(
                SatchelException.Kind.FAILED,
                path + " can't be imported, " + why + (why.contains(": ") ? "" : ": get it again"));
    }

    // ---- unpacking

    /** Lays all layers over each other. */
    void unpack(Path root, long diskBytes, Progress progress) throws IOException {
        try (Fd directory = Fd.open(root, Fd.O_PATH | Fd.O_DIRECTORY);
                LayerFiles files = new LayerFiles(directory, diskBytes)) {
            for (int i = 0; i < layers.size(); i++) {
                Layer layer = layers.get(i);
                progress.at("unpacking layer " + (i + 1) + " of " + layers.size(), 0, 0);
                // Read once to know that it is what it should be, before anything of it is used.
                List<String> whiteouts;
                try (InputStream file = part(layer)) {
                    DigestInputStream stored = new Digested(file);
                    DigestInputStream tar = new Digested(plain(stored));
                    whiteouts = LayerFiles.whiteouts(tar);
                    drain(tar);
                    drain(stored);
                    if (!matches(layer.digest(), stored) || !matches(layer.contents(), tar)) {
                        throw damaged(layer.name());
                    }
                } catch (IOException e) {
                    if (e instanceof SatchelException) {
                        throw e;
                    }
                    throw new IOException("the image's " + layer.name() + " can't be read, " + e.getMessage(), e);
                }
                files.remove(whiteouts);
                try (InputStream file = part(layer);
                        InputStream tar = plain(file)) {
                    files.add(tar);
                }
            }
            if (!config.directory().isEmpty()) {
                files.makeDirectories(config.directory());
            }
        }
    }

    /** What is skipped counts, too: DigestInputStream leaves it out. */
    private static final class Digested extends DigestInputStream {
        private final byte[] skipped = new byte[1 << 13];

        Digested(InputStream in) {
            super(in, digest());
        }

        @Override
        public long skip(long count) throws IOException {
            return Math.max(0, read(skipped, 0, Math.clamp(count, 0, skipped.length)));
        }
    }

    private InputStream part(Layer layer) throws IOException {
        InputStream in = place.open(layer.name());
        if (in == null) {
            throw new IOException("the image's " + layer.name() + " is missing: get the image again");
        }
        return new BufferedInputStream(in, 1 << 17);
    }

    private static boolean matches(String digest, DigestInputStream read) {
        return digest.isEmpty()
                || digest.equals(
                        HexFormat.of().formatHex(read.getMessageDigest().digest()));
    }

    private static void drain(InputStream in) throws IOException {
        byte[] buffer = new byte[1 << 16];
        int count;
        do {
            count = in.read(buffer);
        } while (count >= 0);
    }

    /** What comes out of a file that is compressed. */
    private static final class Compressed extends BufferedInputStream {
        Compressed(InputStream in) {
            super(in, 1 << 16);
        }
    }

    /** What is in a file, compressed or not: by its first bytes, as the types that manifests name are not always right. */
    private static InputStream plain(InputStream in) throws IOException {
        BufferedInputStream file = new BufferedInputStream(in, 1 << 16);
        file.mark(4);
        byte[] magic = file.readNBytes(4);
        file.reset();
        if (magic.length == 4 && (magic[0] & 0xff) == 0x1f && (magic[1] & 0xff) == 0x8b) {
            return new Compressed(new GZIPInputStream(file, 1 << 16));
        }
        if (magic.length == 4
                && (magic[0] & 0xff) == 0x28
                && (magic[1] & 0xff) == 0xb5
                && magic[2] == 0x2f
                && (magic[3] & 0xff) == 0xfd) {
            return new Compressed(new ZstdInputStream(file));
        }
        return file;
    }

    /** Runs a command with its output in the session's log, which {@code logs} shows: what containers print is often all they say. */
    static final List<String> LOGGED =
            List.of("/bin/sh", "-c", "exec \"$@\" >>/var/log/satchel/session.log 2>&1", "sh");

    /** Makes the log that {@link #LOGGED} writes. @return false if the image has no shell to write it by */
    static boolean prepareLog(Path root, long uid, long gid) throws IOException {
        try (Fd directory = Fd.open(root, Fd.O_PATH | Fd.O_DIRECTORY);
                LayerFiles files = new LayerFiles(directory, 0)) {
            try (Fd _ = directory.openInRoot("bin/sh", Fd.O_PATH, 0, true)) {
                files.makeDirectories("var/log/satchel");
            } catch (LinuxException e) {
                if (e.errno() == dev.satchel.linux.Errno.ENOENT) {
                    return false;
                }
                throw e;
            }
            try (Fd log = directory.openInRoot("var/log/satchel", Fd.O_PATH | Fd.O_DIRECTORY, 0, true);
                    Fd _ = log.openInRoot("session.log", Fd.O_WRONLY | Fd.O_CREAT, 0600, false)) {
                InnerFiles.setAttributes(log, "session.log", false, uid, gid, 0644, 0, 0);
            }
            return true;
        }
    }

    // ---- who runs it

    /** User and group ids of the image's user, looked up in its own files. */
    static long[] ids(Path root, String user) throws IOException {
        if (user.isEmpty()) {
            return new long[] {0, 0};
        }
        int colon = user.indexOf(':');
        String name = colon < 0 ? user : user.substring(0, colon);
        String group = colon < 0 ? "" : user.substring(colon + 1);
        long uid = number(name);
        long gid = 0;
        for (String line : lines(root, "etc/passwd")) {
            String[] fields = line.split(":", -1);
            if (fields.length >= 4 && (fields[0].equals(name) || (uid >= 0 && number(fields[2]) == uid))) {
                uid = number(fields[2]);
                gid = number(fields[3]);
                break;
            }
        }
        if (!group.isEmpty()) {
            gid = number(group);
            for (String line : gid >= 0 ? List.<String>of() : lines(root, "etc/group")) {
                String[] fields = line.split(":", -1);
                if (fields.length >= 3 && fields[0].equals(group)) {
                    gid = number(fields[2]);
                    break;
                }
            }
        }
        if (uid < 0 || gid < 0) {
            throw new SatchelException(
                    SatchelException.Kind.FAILED,
                    "the image runs as '" + user + "', whom its own /etc/passwd and /etc/group don't know: rebuild it");
        }
        return new long[] {uid, gid};
    }

    private static long number(String text) {
        if (text.isEmpty() || text.length() > 9) {
            return -1;
        }
        for (int i = 0; i < text.length(); i++) {
            if (text.charAt(i) < '0' || text.charAt(i) > '9') {
                return -1;
            }
        }
        return Long.parseLong(text);
    }

    private static List<String> lines(Path root, String name) throws IOException {
        try (Fd directory = Fd.open(root, Fd.O_PATH | Fd.O_DIRECTORY);
                Fd file = directory.openInRoot(name, Fd.O_RDONLY | Fd.O_NONBLOCK, 0, true);
                Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(PASSWD_BYTES_MAX);
            long filled = 0;
            for (long count = 1; count > 0 && filled < PASSWD_BYTES_MAX; filled += count) {
                count = file.pread(bytes.asSlice(filled), filled);
            }
            return new String(bytes.asSlice(0, filled).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.UTF_8)
                    .lines()
                    .toList();
        } catch (LinuxException e) {
            if (e.errno() == dev.satchel.linux.Errno.ENOENT) {
                return List.of();
            }
            throw e;
        }
    }

    @Override
    public void close() throws IOException {
        place.close();
    }
}
