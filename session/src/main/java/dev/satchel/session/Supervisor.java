package dev.satchel.session;

import java.io.IOException;

/** The one process that serves one running session. */
public final class Supervisor implements AutoCloseable {
    private final ResumeResult result;

    Supervisor(ResumeResult result) {
        this.result = result;
    }

    /** How the session came to run. */
    public ResumeResult result() {
        return result;
    }

    /** Serves the session until it is suspended, stopped, or ends; then nothing of it is left on the host. Call once, after the terminal was let go. */
    public void serve() throws IOException {
        if (result.processes() >= 0) {
            throw new UnsupportedOperationException("being written");
        }
    }

    /** Ends what is left of the session on this host, without a snapshot; for failures between resume and serve. */
    @Override
    public void close() throws IOException {}
}
