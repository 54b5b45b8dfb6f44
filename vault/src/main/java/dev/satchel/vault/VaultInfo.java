package dev.satchel.vault;

/**
 * Size and contents of a vault.
 *
 * @param id which vault
 * @param sessions heads in it
 * @param snapshots snapshots in it
 * @param images images in it
 * @param chunks distinct chunks
 * @param bytesStored bytes that its files have
 * @param bytesLogical plaintext bytes of all snapshots' and images' trees, each counted as if it shared nothing
 */
public record VaultInfo(
        VaultId id, int sessions, int snapshots, int images, long chunks, long bytesStored, long bytesLogical) {}
