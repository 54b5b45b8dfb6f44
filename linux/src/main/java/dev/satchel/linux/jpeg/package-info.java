/** JPEG (ITU-T T.81) by libturbojpeg.so.0, which compresses with the processor's vector instructions. */
@NullMarked
package dev.satchel.linux.jpeg;

import org.jspecify.annotations.NullMarked;
