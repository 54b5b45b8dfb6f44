package dev.satchel.pod;

import dev.satchel.vault.ChunkMapRef;

/**
 * The frozen state of a pod's processes, in the vault's chunks.
 *
 * @param images CRIU's images but for memory, as {@link ImageArchive} lays them out
 * @param pages the processes' memory: all pages files one after another, cut as {@link CheckpointWriter} says
 * @param processes that it holds
 * @param bytesMemory pages of memory in it
 */
public record Checkpoint(ChunkMapRef images, ChunkMapRef pages, int processes, long bytesMemory) {}
