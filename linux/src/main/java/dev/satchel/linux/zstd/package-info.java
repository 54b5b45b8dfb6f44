/**
 * Compression by libzstd.so.1, which every Debian has because dpkg needs it: costs a cold JVM nothing but dlopen(3), where
 * a library out of a jar has to be unpacked into a temporary file first.
 */
@NullMarked
package dev.satchel.linux.zstd;

import org.jspecify.annotations.NullMarked;
