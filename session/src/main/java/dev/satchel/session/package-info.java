/** Sessions: puts one together from the parts, owns its life cycle, and is what the commands call. */
@NullMarked
package dev.satchel.session;

import org.jspecify.annotations.NullMarked;
