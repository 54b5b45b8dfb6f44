package dev.satchel.session;

import dev.satchel.pod.PodSpec;
import dev.satchel.vault.Head;
import java.io.IOException;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * What a session is for life; kept sealed in its head.
 *
 * @param image name of the image that it was made from
 * @param uid whom the command runs as, and {@code gid}: its group
 * @param directory where the command runs; empty: in the root directory
 * @param uploadBytesMax of a file that is sent into it
 * @param network number of its private network, see {@link #address}
 * @param upkeep what is done about its snapshots
 */
record Settings(
        String image,
        Instant created,
        long diskBytes,
        OptionalLong memoryBytes,
        Optional<Double> cpus,
        List<String> command,
        long uid,
        long gid,
        String directory,
        Map<String, String> environment,
        String geometry,
        String geometryMax,
        boolean suspendOnClose,
        long uploadBytesMax,
        String hostname,
        long idBase,
        int network,
        Upkeep upkeep) {
    /** The private networks that sessions live in: the /30s of 10.96.0.0/12. The host that a session runs on does not see them. */
    static final int NETWORKS = 1 << 18;

    static final int NETWORK_BITS = 30;

    private static final int NETWORK_PREFIX = (10 << 24) | (96 << 16);

    Settings {
        if (network < 0 || network >= NETWORKS) {
            throw new IllegalArgumentException("network " + network);
        }
    }

    /** The session's own address, the same wherever it runs. */
    String address() {
        return dotted(NETWORK_PREFIX + network * 4 + 2);
    }

    /** Where it sends what is not for itself, and asks for names. */
    String gateway() {
        return dotted(NETWORK_PREFIX + network * 4 + 1);
    }

    private static String dotted(int address) {
        return (address >>> 24) + "." + ((address >>> 16) & 255) + "." + ((address >>> 8) & 255) + "."
                + (address & 255);
    }

    PodSpec podSpec() {
        Map<String, String> all = new LinkedHashMap<>(environment);
        all.put("SATCHEL_GEOMETRY", geometry);
        all.put("SATCHEL_GEOMETRY_MAX", geometryMax);
        return new PodSpec(
                command, uid, gid, directory.isEmpty() ? "/" : directory, all, hostname, idBase, memoryBytes, cpus);
    }

    Settings with(Upkeep next) {
        return new Settings(
                image,
                created,
                diskBytes,
                memoryBytes,
                cpus,
                command,
                uid,
                gid,
                directory,
                environment,
                geometry,
                geometryMax,
                suspendOnClose,
                uploadBytesMax,
                hostname,
                idBase,
                network,
                next);
    }

    byte[] toJson() throws IOException {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("image", image);
        json.put("created", created.toEpochMilli());
        json.put("disk_bytes", diskBytes);
        memoryBytes.ifPresent(bytes -> json.put("memory_bytes", bytes));
        cpus.ifPresent(count -> json.put("cpus", count));
        json.put("command", command);
        json.put("uid", uid);
        json.put("gid", gid);
        json.put("directory", directory);
        json.put("environment", environment);
        json.put("geometry", geometry);
        json.put("geometry_max", geometryMax);
        json.put("suspend_on_close", suspendOnClose);
        json.put("upload_bytes_max", uploadBytesMax);
        json.put("hostname", hostname);
        json.put("id_base", idBase);
        json.put("network", network);
        upkeep.toJson(json);
        byte[] bytes = Json.write(json);
        if (bytes.length > Head.SETTINGS_MAX) {
            throw new SatchelException(
                    SatchelException.Kind.FAILED,
                    "a session's settings would have " + bytes.length + " bytes, of " + Head.SETTINGS_MAX
                            + " at most: use fewer or shorter variables and labels");
        }
        return bytes;
    }

    static Settings fromJson(byte[] bytes) throws IOException {
        JsonObject json = Json.read(bytes);
        return new Settings(
                json.text("image"),
                Instant.ofEpochMilli(json.number("created")),
                json.number("disk_bytes"),
                json.has("memory_bytes") ? OptionalLong.of(json.number("memory_bytes")) : OptionalLong.empty(),
                json.optionalFraction("cpus"),
                json.texts("command"),
                json.number("uid", 0),
                json.number("gid", 0),
                json.optionalText("directory").orElse(""),
                json.textMap("environment"),
                json.text("geometry"),
                json.text("geometry_max"),
                json.truth("suspend_on_close"),
                json.number("upload_bytes_max", CreateRequest.UPLOAD_BYTES_MAX),
                json.text("hostname"),
                json.number("id_base"),
                (int) json.number("network"),
                Upkeep.fromJson(json));
    }
}
