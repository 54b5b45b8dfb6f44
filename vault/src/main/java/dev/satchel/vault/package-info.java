/**
 * The encrypted, content-addressed, signed store that sessions live in: chunks in packs, snapshots, heads, images, keys,
 * leases, and the backends that hold them. Knows nothing of disks or processes. {@code docs/FORMAT.md} is its format.
 */
@NullMarked
package dev.satchel.vault;

import org.jspecify.annotations.NullMarked;
