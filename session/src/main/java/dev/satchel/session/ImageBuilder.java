package dev.satchel.session;

import dev.satchel.linux.FileSystems;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkWriter;
import dev.satchel.vault.ImageId;
import dev.satchel.vault.ImageManifest;
import dev.satchel.vault.KeyDomain;
import dev.satchel.vault.Lease;
import dev.satchel.vault.Pin;
import dev.satchel.vault.SessionId;
import dev.satchel.vault.Vault;
import dev.satchel.volume.Frozen;
import dev.satchel.volume.MountedVolume;
import dev.satchel.volume.Volume;
import dev.satchel.volume.VolumeOptions;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * Fills a new disk with a root file system and keeps it in the vault as an image, under keys of its own. The disk is a volume from
 * the start: nothing of it is ever on the host in plaintext but what the tools that fill it keep for themselves while they run.
 */
final class ImageBuilder {
    /** Of an image's disk; what is not used takes no space, and {@code create --disk} makes it larger. */
    private static final long DISK_BYTES = 8L << 30;

    /** Of what is written while it is filled: the tools' temporary files included. */
    private static final long LOG_BYTES_MAX = 4L << 30;

    private static final String INIT = "usr/lib/satchel/init";
    private static final Path STATIC_INIT = Path.of("/usr/bin/tini-static");

    private final Host host;
    private final Vault vault;
    private final Progress progress;

    ImageBuilder(Host host, Vault vault, Progress progress) {
        this.host = host;
        this.vault = vault;
        this.progress = progress;
    }

    private interface Filler {
        /** @return what the image itself wants to be run, if it says so */
        Optional<OciImage.Config> fill(Path root) throws IOException;
    }

    ImageInfo build(String name, String recipe) throws IOException {
        Path directory = recipe.contains("/") ? Path.of(recipe) : host.recipes().resolve(recipe);
        if (!Files.exists(directory)) {
            throw new SatchelException(
                    SatchelException.Kind.NOT_FOUND,
                    "there is no recipe '" + recipe + "': name 'minimal', 'desktop' or a recipe's directory");
        }
        return make(name, root -> {
            run(List.of(host.recipes().resolve("build").toString(), directory.toString(), root.toString()));
            return Optional.empty();
        });
    }

    /** From a container image (OCI layout or archive, docker's archive), or from the tar of a root file system. */
    ImageInfo importFrom(String name, Path path) throws IOException {
        if (!Files.isReadable(path)) {
            throw new SatchelException(
                    SatchelException.Kind.NOT_FOUND, "there is nothing at " + path + " to import: check its path");
        }
        Optional<OciImage> container = OciImage.at(path, host.state(), DISK_BYTES);
        if (container.isEmpty()) {
            return importTar(name, path);
        }
        try (OciImage image = container.get()) {
            return make(name, root -> {
                image.unpack(root, DISK_BYTES, progress);
                return Optional.of(image.config());
            });
        }
    }

    private ImageInfo importTar(String name, Path tar) throws IOException {
        return make(name, root -> {
            progress.at("unpacking", 0, 0);
            run(List.of(
                    "tar",
                    "--extract",
                    "--file",
                    tar.toAbsolutePath().toString(),
                    "--directory",
                    root.toString(),
                    "--numeric-owner",
                    "--same-owner",
                    "--preserve-permissions",
                    "--sparse",
                    "--acls",
                    "--xattrs",
                    "--xattrs-include=*"));
            requireRootFiles(tar, root);
            return Optional.empty();
        });
    }

    /** A container image that is compressed in another way than is known here, or damaged, would become an image in which nothing runs. */
    private static void requireRootFiles(Path tar, Path root) throws IOException {
        boolean isImage = false;
        for (String part : new String[] {"manifest.json", "oci-layout", "index.json"}) {
            isImage |= Files.exists(root.resolve(part), LinkOption.NOFOLLOW_LINKS);
        }
        boolean isRoot = Files.exists(root.resolve("bin"), LinkOption.NOFOLLOW_LINKS)
                || Files.exists(root.resolve("usr"), LinkOption.NOFOLLOW_LINKS);
        if (isImage && !isRoot) {
            throw new SatchelException(
                    SatchelException.Kind.FAILED,
                    tar + " holds a container image, not a root file system, and can't be read as one: save it again, "
                            + "not compressed or by gzip or zstd");
        }
    }

    private ImageInfo make(String name, Filler filler) throws IOException {
        Path directory = Files.createTempDirectory(
                host.state(),
                "image-",
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        SessionId disk = SessionId.random();
        VolumeOptions defaults = VolumeOptions.DEFAULT;
        // Folding in the background would put chunks into the vault's own domain; the image's are to be its own.
        VolumeOptions options = new VolumeOptions(
                defaults.log(),
                defaults.cacheChunks(),
                defaults.readAheadSlots(),
                defaults.idleFoldMillis(),
                defaults.idleFoldSlots(),
                LOG_BYTES_MAX,
                false);
        KeyDomain keys = KeyDomain.random();
        // Says that the disk's log is somebody's, though no session has it.
        Lease lease = vault.acquire(disk, host.id(), host.name(), false);
        Volume volume = Volume.open(vault, disk, ChunkMapRef.EMPTY, DISK_BYTES, options);
        ExecutorService executor =
                Executors.newThreadPerTaskExecutor(Thread.ofPlatform().daemon().factory());
        try {
            Path mountPoint = Files.createDirectory(directory.resolve("files"));
            Path work = directory.resolve("volume");
            progress.at("making a file system", 0, 0);
            MountedVolume.format(volume, work);
            Map<String, Object> metadata = new LinkedHashMap<>();
            long bytes;
            try (MountedVolume mounted = MountedVolume.mount(volume, work, mountPoint)) {
                Optional<OciImage.Config> wanted = filler.fill(mountPoint);
                List<String> command = prepare(mountPoint, wanted);
                metadata.put("command", command);
                if (wanted.isPresent()) {
                    long[] ids = OciImage.ids(mountPoint, wanted.get().user());
                    if (OciImage.prepareLog(mountPoint, ids[0], ids[1]) && command.size() > 2) {
                        List<String> logged = new ArrayList<>(command.subList(0, 2));
                        logged.addAll(OciImage.LOGGED);
                        logged.addAll(command.subList(2, command.size()));
                        metadata.put("command", logged);
                    }
                    metadata.put("environment", wanted.get().environment());
                    metadata.put("uid", ids[0]);
                    metadata.put("gid", ids[1]);
                    metadata.put("directory", wanted.get().directory());
                    metadata.put("labels", wanted.get().labels());
                }
                mounted.sync();
                mounted.trim();
                FileSystems.Usage usage = FileSystems.usage(mountPoint);
                bytes = (usage.blocks() - usage.freeBlocks()) * usage.blockSizeBytes();
            }
            progress.at("storing", 0, 0);
            try (Pin _ = vault.pin(disk, keys.id());
                    ChunkWriter writer = vault.chunks().writer(keys);
                    Frozen instant = volume.snapshot()) {
                ChunkMapRef map =
                        instant.store(writer, executor, Runtime.getRuntime().availableProcessors());
                writer.commit();
                ImageManifest image = new ImageManifest(
                        ImageId.random(),
                        name,
                        Instant.now().truncatedTo(ChronoUnit.MILLIS),
                        keys,
                        map,
                        DISK_BYTES,
                        bytes,
                        Json.write(metadata));
                try (Pin _ = vault.pin(disk, List.of(map), writer)) {
                    vault.putImage(image);
                }
                return info(image);
            }
        } finally {
            executor.shutdownNow();
            volume.retire();
            vault.delete(disk, lease);
            DirectoryTree.delete(directory);
        }
    }

    /** What the first process of sessions of this image is; an image without one of ours gets an init that waits. */
    private static List<String> prepare(Path root, Optional<OciImage.Config> wanted) throws IOException {
        for (String part :
                new String[] {"dev", "dev/pts", "dev/shm", "dev/mqueue", "proc", "sys", "run", "tmp", "etc", "var"}) {
            makeDirectory(root.resolve(part));
        }
        // runc gives a tmpfs the mode of the directory below it.
        Files.setPosixFilePermissions(root.resolve("dev/shm"), PosixFilePermissions.fromString("rwxrwxrwx"));
        if (Files.isRegularFile(root.resolve(INIT), LinkOption.NOFOLLOW_LINKS)) {
            return List.of("/" + INIT);
        }
        if (!Files.exists(STATIC_INIT)) {
            throw new SatchelException(
                    SatchelException.Kind.HOST_LACKS, STATIC_INIT + " is missing: install Debian's package 'tini'");
        }
        Path own = root;
        for (String part : new String[] {"usr", "lib", "satchel"}) {
            own = own.resolve(part);
            makeDirectory(own);
        }
        Files.copy(
                STATIC_INIT,
                own.resolve("tini"),
                StandardCopyOption.COPY_ATTRIBUTES,
                StandardCopyOption.REPLACE_EXISTING);
        List<String> command = new ArrayList<>(List.of("/usr/lib/satchel/tini", "--"));
        List<String> asked = wanted.map(OciImage.Config::command).orElse(List.of());
        command.addAll(asked.isEmpty() ? List.of("/bin/sleep", "infinity") : asked);
        return command;
    }

    /** Makes a directory that is missing. A link in its place would lead out of the image, onto this host: nothing is written there. */
    private static void makeDirectory(Path directory) throws IOException {
        if (Files.isSymbolicLink(directory)) {
            throw new SatchelException(
                    SatchelException.Kind.FAILED,
                    "the root file system's " + directory.getFileName()
                            + " is a link, where a session needs a directory: replace it in the archive");
        }
        if (!Files.exists(directory)) {
            Files.createDirectory(directory);
        }
    }

    static ImageInfo info(ImageManifest image) {
        return new ImageInfo(image.name(), image.bytesLogical(), image.created());
    }

    /** Runs a tool; what it prints is progress, what it says when it fails is the error. */
    private void run(List<String> line) throws IOException {
        Path errors = Files.createTempFile("satchel-", ".log");
        try {
            Process process = new ProcessBuilder(line)
                    .redirectInput(ProcessBuilder.Redirect.from(new java.io.File("/dev/null")))
                    .redirectError(errors.toFile())
                    .start();
            try (BufferedReader reader = process.inputReader(StandardCharsets.UTF_8)) {
                for (String step = reader.readLine(); step != null; step = reader.readLine()) {
                    progress.at(step, 0, 0);
                }
                int code = process.waitFor();
                if (code != 0) {
                    List<String> lines = Files.readAllLines(errors);
                    throw new IOException(Path.of(line.getFirst()).getFileName() + " failed with exit code " + code
                            + ": " + String.join("; ", lines.subList(Math.max(0, lines.size() - 3), lines.size())));
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IOException("interrupted", e);
            } finally {
                process.descendants().forEach(ProcessHandle::destroy);
                process.destroy();
            }
        } finally {
            Files.delete(errors);
        }
    }
}
