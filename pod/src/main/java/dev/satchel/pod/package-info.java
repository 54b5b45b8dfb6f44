/** A session's processes: the private namespace they run in, and checkpoint and restart of what runs in it. */
@NullMarked
package dev.satchel.pod;

import org.jspecify.annotations.NullMarked;
