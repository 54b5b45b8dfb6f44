package dev.satchel.cli;

import dev.satchel.session.CheckResult;
import dev.satchel.session.ChunkPlaces;
import dev.satchel.session.Host;
import dev.satchel.session.PassphraseSource;
import dev.satchel.session.Progress;
import dev.satchel.session.Satchel;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/** The door from the commands to sessions; tests put failures into it. */
interface SatchelFactory {
    /** The real one. */
    SatchelFactory HERE = new SatchelFactory() {
        @Override
        public Satchel open(Host host, Path vault, PassphraseSource passphrase, Progress progress) {
            return new Satchel(host, vault, passphrase, progress);
        }

        @Override
        public Satchel open(Host host, Path vault, PassphraseSource passphrase, Progress progress, ChunkPlaces places) {
            return new Satchel(host, vault, passphrase, progress, places);
        }

        @Override
        public List<CheckResult> doctor(Host host) throws IOException {
            return Satchel.doctor(host);
        }
    };

    /** That vault seen from that host; the caller closes it. */
    Satchel open(Host host, Path vault, PassphraseSource passphrase, Progress progress) throws IOException;

    /** The same, with other places that chunks are read from. */
    default Satchel open(Host host, Path vault, PassphraseSource passphrase, Progress progress, ChunkPlaces places)
            throws IOException {
        return open(host, vault, passphrase, progress);
    }

    /** Checks what sessions need of this host. */
    List<CheckResult> doctor(Host host) throws IOException;
}
