package dev.satchel.vault;

/**
 * What {@link Vault#collect} did, or would do.
 *
 * @param bytesFreed that the vault's files take less than before
 * @param packsRemoved packs of which nothing was needed any more
 * @param packsRewritten packs of which enough was not needed that the rest was put into new ones
 * @param bytesUnneeded of chunks that nothing needs, in packs that were left as they are because too little of them is so
 * @param filesRemoved what dead writers, removed sessions and finished work had left besides
 */
public record CollectReport(
        long bytesFreed, int packsRemoved, int packsRewritten, long bytesUnneeded, int filesRemoved) {}
