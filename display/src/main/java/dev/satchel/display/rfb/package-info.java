/**
 * The supervisor's server for existing VNC clients: RFB 3.8 (RFC 6143) with the extensions that these clients have agreed upon
 * (the community's "rfbproto"), on top of the same {@link dev.satchel.display.Viewer} and commands that browsers get. Begin at
 * {@link dev.satchel.display.rfb.RfbServer}.
 *
 * <p>Clients are not trusted, those that know the password neither: each message has a bound, and what is malformed ends the connection.
 */
@NullMarked
package dev.satchel.display.rfb;

import org.jspecify.annotations.NullMarked;
