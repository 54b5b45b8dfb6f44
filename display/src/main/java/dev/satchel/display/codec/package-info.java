/** Display commands as bytes: {@code docs/PROTOCOL.md}, "Commands" and "Packings". */
@NullMarked
package dev.satchel.display.codec;

import org.jspecify.annotations.NullMarked;
