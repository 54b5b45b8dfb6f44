/**
 * A {@link dev.satchel.display.Screen} that is an X server's: a client of the X Window System protocol, version 11, of just what that
 * needs. The server runs inside the session and is not trusted: whatever it sends is bounded and can at worst end the connection.
 */
@NullMarked
package dev.satchel.display.x11;

import org.jspecify.annotations.NullMarked;
