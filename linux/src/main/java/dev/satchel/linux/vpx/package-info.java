/** VP8 (RFC 6386) by libvpx, which compresses with the processor's vector instructions; colours are converted by libyuv. */
@NullMarked
package dev.satchel.linux.vpx;

import org.jspecify.annotations.NullMarked;
