package dev.satchel.vault;

/**
 * What a {@link ChunkWriter} did since it was made.
 *
 * @param chunksPut chunks given to it
 * @param bytesPut their plaintext
 * @param chunksNew those that were not in the vault yet
 * @param bytesNew bytes written to the vault for them, packs' own overhead included
 */
public record WriteStats(long chunksPut, long bytesPut, long chunksNew, long bytesNew) {}
