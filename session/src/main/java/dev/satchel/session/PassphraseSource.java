package dev.satchel.session;

import java.io.IOException;

/** Where the passphrase comes from when no key is kept on this host: a file, or the terminal. */
public interface PassphraseSource {
    /** The passphrase, UTF-8, without its line end; the caller overwrites it after use. Fails with what to do when there is none. */
    byte[] passphrase() throws IOException;
}
