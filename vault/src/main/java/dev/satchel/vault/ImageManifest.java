package dev.satchel.vault;

import static java.util.Objects.requireNonNull;

import java.time.Instant;

/**
 * An image: the volume that sessions are made from, sealed in a key domain of its own. Treat the metadata array as
 * read-only.
 *
 * @param id its name for machines
 * @param name its name for people; unique among the vault's images, 1 to 255 bytes of UTF-8
 * @param created when it was built, to the millisecond
 * @param keys the domain that its chunks are sealed under; the manifest does not own it
 * @param volume the chunks of its disk
 * @param diskBytes size of its disk
 * @param bytesLogical bytes of plaintext it stands for
 * @param metadata belongs to the upper parts; at most 1 MiB
 */
@SuppressWarnings("ArrayRecordComponent") // up to a megabyte of JSON: handed through, never compared
public record ImageManifest(
        ImageId id,
        String name,
        Instant created,
        KeyDomain keys,
        ChunkMapRef volume,
        long diskBytes,
        long bytesLogical,
        byte[] metadata) {
    public ImageManifest {
        requireNonNull(id, "id");
        requireNonNull(name, "name");
        requireNonNull(created, "created");
        requireNonNull(keys, "keys");
        requireNonNull(volume, "volume");
        requireNonNull(metadata, "metadata");
        if (name.isEmpty() || name.length() > Head.NAME_MAX) {
            throw new IllegalArgumentException("an image's name has 1 to " + Head.NAME_MAX + " bytes");
        }
    }
}
