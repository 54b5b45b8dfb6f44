/**
 * The supervisor's server for viewers in a browser: docs/PROTOCOL.md over HTTP/1.1 and WebSockets, with the viewer's own files and an
 * HTTP API. Begin at {@link dev.satchel.display.web.ViewerServer}.
 *
 * <p>HTTP is read here, not by a library, because whoever can reach the port talks to the process that holds a user's session: every
 * line, header, body, connection and wait has a bound, nothing ticks while nothing happens, and it starts in some milliseconds.
 */
@NullMarked
package dev.satchel.display.web;

import org.jspecify.annotations.NullMarked;
