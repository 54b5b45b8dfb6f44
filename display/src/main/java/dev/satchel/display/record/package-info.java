/** Recordings of what a session shows: a viewer that writes a video which browsers play, WebM (Matroska, RFC 9559) with VP8 (RFC 6386). */
@NullMarked
package dev.satchel.display.record;

import org.jspecify.annotations.NullMarked;
