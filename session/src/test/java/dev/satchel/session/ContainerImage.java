package dev.satchel.session;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.zip.GZIPOutputStream;

/** Writes OCI image layouts for tests, of layers that are tar files. */
final class ContainerImage {
    private final Path layout;
    private final List<String> layers = new ArrayList<>();
    private final List<String> contents = new ArrayList<>();

    ContainerImage(Path layout) throws IOException {
        this.layout = Files.createDirectories(layout);
        Files.createDirectories(layout.resolve("blobs/sha256"));
    }

    static String sha256(byte[] bytes) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError(e);
        }
    }

    private String blob(byte[] bytes) throws IOException {
        String digest = sha256(bytes);
        Files.write(layout.resolve("blobs/sha256/" + digest), bytes);
        return digest;
    }

    private static String described(String digest, long bytes, String type) {
        return "{\"mediaType\":\"" + type + "\",\"digest\":\"sha256:" + digest + "\",\"size\":" + bytes + "}";
    }

    /** @param compression "", "gzip" or "zstd" */
    ContainerImage layer(byte[] tar, String compression) throws IOException {
        byte[] stored = tar;
        if (compression.equals("gzip")) {
            ByteArrayOutputStream packed = new ByteArrayOutputStream();
            try (GZIPOutputStream gzip = new GZIPOutputStream(packed)) {
                gzip.write(tar);
            }
            stored = packed.toByteArray();
        } else if (compression.equals("zstd")) {
            try (java.lang.foreign.Arena arena = java.lang.foreign.Arena.ofConfined();
                    dev.satchel.linux.zstd.Zstd zstd = new dev.satchel.linux.zstd.Zstd()) {
                java.lang.foreign.MemorySegment from = arena.allocate(tar.length);
                from.copyFrom(java.lang.foreign.MemorySegment.ofArray(tar));
                java.lang.foreign.MemorySegment to = arena.allocate(tar.length + 1000L);
                int length = zstd.compress(from, to, 1);
                stored = to.asSlice(0, length).toArray(java.lang.foreign.ValueLayout.JAVA_BYTE);
            }
        }
        layers.add(described(
                blob(stored),
                stored.length,
                "application/vnd.oci.image.layer.v1.tar" + (compression.isEmpty() ? "" : "+" + compression)));
        contents.add("\"sha256:" + sha256(tar) + "\"");
        return this;
    }

    /** @param config fields of the configuration's {@code config} */
    Path write(String config, String architecture) throws IOException {
        byte[] bytes = ("{\"os\":\"linux\",\"architecture\":\"" + architecture + "\",\"config\":{" + config
                        + "},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[" + String.join(",", contents) + "]}}")
                .getBytes(StandardCharsets.UTF_8);
        byte[] manifest = ("{\"schemaVersion\":2,\"config\":"
                        + described(blob(bytes), bytes.length, "application/vnd.oci.image.config.v1+json")
                        + ",\"layers\":[" + String.join(",", layers) + "]}")
                .getBytes(StandardCharsets.UTF_8);
        String one = described(blob(manifest), manifest.length, "application/vnd.oci.image.manifest.v1+json");
        // As buildkit does: an index of its own, with another architecture and an attestation beside.
        String other = one.replace("}", ",\"platform\":{\"os\":\"linux\",\"architecture\":\"s390x\"}}");
        String none = one.replace("}", ",\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"}}");
        String ours = one.replace("}", ",\"platform\":{\"os\":\"linux\",\"architecture\":\"" + architecture + "\"}}");
        byte[] inner = ("{\"schemaVersion\":2,\"manifests\":[" + other + "," + none + "," + ours + "]}")
                .getBytes(StandardCharsets.UTF_8);
        Files.writeString(
                layout.resolve("index.json"),
                "{\"schemaVersion\":2,\"manifests\":["
                        + described(blob(inner), inner.length, "application/vnd.oci.image.index.v1+json") + "]}");
        Files.writeString(layout.resolve("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}");
        return layout;
    }

    static String own() {
        return System.getProperty("os.arch").equals("aarch64") ? "arm64" : "amd64";
    }

    /** A tar of a directory as GNU tar writes it, which knows pax, extended attributes and sparse files. */
    static byte[] tar(Path directory) throws IOException {
        Path tar = Files.createTempFile("layer-", ".tar");
        try {
            Ran.of(List.of(
                            "tar",
                            "--create",
                            "--format=posix",
                            "--sparse",
                            "--sparse-version=1.0",
                            "--xattrs",
                            "--xattrs-include=*",
                            "--numeric-owner",
                            "--file",
                            tar.toString(),
                            "--directory",
                            directory.toString(),
                            "."))
                    .expect(0);
            return Files.readAllBytes(tar);
        } finally {
            Files.delete(tar);
        }
    }

    /** A tar of one entry, as hostile as it may be. */
    static byte[] tar(String name, char type, String target, byte[] content) {
        byte[] tar = new byte[512 + (content.length + 511) / 512 * 512 + 1024];
        put(tar, 0, name);
        put(tar, 100, "0000755");
        put(tar, 108, "0000000");
        put(tar, 116, "0000000");
        put(tar, 124, "%011o".formatted(content.length));
        put(tar, 136, "00000000000");
        put(tar, 148, "        ");
        tar[156] = (byte) type;
        put(tar, 157, target);
        put(tar, 257, "ustar");
        put(tar, 263, "00");
        int sum = 0;
        for (int i = 0; i < 512; i++) {
            sum += tar[i] & 0xff;
        }
        put(tar, 148, "%06o".formatted(sum));
        tar[154] = 0;
        System.arraycopy(content, 0, tar, 512, content.length);
        return tar;
    }

    private static void put(byte[] tar, int at, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        System.arraycopy(bytes, 0, tar, at, bytes.length);
    }
}
