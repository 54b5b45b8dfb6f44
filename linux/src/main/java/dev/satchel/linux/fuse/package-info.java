/**
 * A server of the kernel's FUSE protocol (fuse(4), linux/fuse.h 7.31) for a flat directory of regular files: no library between,
 * so that a cold JVM serves its first read at once and no byte is copied on the way.
 */
@NullMarked
package dev.satchel.linux.fuse;

import org.jspecify.annotations.NullMarked;
