package dev.satchel.session;

import java.io.IOException;
import java.util.Optional;

/** Where the passphrase comes from when no key is kept on this host: a file, or the terminal. */
public interface PassphraseSource {
    /** The passphrase, or a recovery key's words, UTF-8, without its line end; the caller overwrites it after use. Fails with what to do when there is none. */
    byte[] passphrase() throws IOException;

    /** Label or id of the vault's key that it is, if somebody has said so: no others are tried. */
    default Optional<String> key() {
        return Optional.empty();
    }
}
