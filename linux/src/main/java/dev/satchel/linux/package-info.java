/** The kernel, as Java: the only place where native calls are made. */
@NullMarked
package dev.satchel.linux;

import org.jspecify.annotations.NullMarked;
