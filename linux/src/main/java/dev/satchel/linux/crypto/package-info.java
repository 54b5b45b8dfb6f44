/**
 * Cryptography by OpenSSL's libcrypto.so.3 (3.0 and later), on memory outside the heap: in a JVM that has just started
 * it is some twenty times as fast as the JDK's own. Keys live in {@link dev.satchel.linux.crypto.SecretBytes}.
 */
@NullMarked
package dev.satchel.linux.crypto;

import org.jspecify.annotations.NullMarked;
