/**
 * A session's virtual disk: a mutable block device over immutable chunks.
 *
 * <p>Layers, from the bottom: the <b>base</b> (a chunk map of the vault), <b>frozen layers</b> (cut off by a snapshot or
 * waiting to be folded), the <b>active layer</b>. Reads fall through from the top, writes stop at the top. Each layer above
 * the base is one segment of the encrypted write log and an index in memory of where each block's newest bytes are in it.
 *
 * <p>A volume is cut into <b>slots</b> of 256 KiB, each held by one chunk of the base, and each slot into 64 <b>blocks</b>
 * of 4 KiB, the unit of the log.
 */
@NullMarked
package dev.satchel.volume;

import org.jspecify.annotations.NullMarked;
