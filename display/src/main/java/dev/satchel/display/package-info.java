/**
 * What a session shows: the changes of its screen, turned into display commands, and a queue of them for each viewer; what viewers type
 * and point at goes back. The display server itself is in {@code x11}, what goes over the wire in {@code codec}, {@code web} and
 * {@code rfb}.
 */
@NullMarked
package dev.satchel.display;

import org.jspecify.annotations.NullMarked;
