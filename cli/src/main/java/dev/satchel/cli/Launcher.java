package dev.satchel.cli;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.satchel.linux.Errno;
import dev.satchel.linux.Fd;
import dev.satchel.linux.LinuxException;
import dev.satchel.linux.Processes;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The launcher that waits for this process, which becomes a supervisor: the other end of the pipe whose number it has put into
 * {@code SATCHEL_STATUS_FD}. An exit code and a newline there end the launcher, and this process lives on without it, and without the
 * descriptors {@code SATCHEL_INHERITED_FDS}, separated by commas, that the launcher's caller had open.
 */
final class Launcher {
    static final String STATUS_FD = "SATCHEL_STATUS_FD";

    static final String INHERITED_FDS = "SATCHEL_INHERITED_FDS";

    private final int statusFd;
    private final String inheritedFds;

    private Launcher(int statusFd, String inheritedFds) {
        this.statusFd = statusFd;
        this.inheritedFds = inheritedFds;
    }

    /** The launcher that these variables' values speak of, empty if there is none. */
    static Optional<Launcher> waiting(@Nullable String statusFd, @Nullable String inheritedFds) {
        return statusFd == null || statusFd.isEmpty()
                ? Optional.empty()
                : Optional.of(new Launcher(Integer.parseInt(statusFd), inheritedFds == null ? "" : inheritedFds));
    }

    /**
     * Lets go of the terminal and whatever else the standard streams lead to, and of what the launcher's caller had open beside
     * them, then has the launcher end with success. Call once.
     *
     * @param log where standard error goes from now on; what the program writes there is bounded, see {@link BoundedLog}
     */
    void letGo(Path log) throws IOException {
        try (Fd nowhere = Fd.open(Path.of("/dev/null"), Fd.O_RDWR);
                Fd errors = Fd.open(log, Fd.O_WRONLY | Fd.O_CREAT | Fd.O_APPEND, 0600)) {
            nowhere.duplicateTo(0);
            nowhere.duplicateTo(1);
            errors.duplicateTo(2); // the JVM's own last words, too
        }
        for (int from = 0; from < inheritedFds.length(); ) {
            int comma = inheritedFds.indexOf(',', from);
            int to = comma < 0 ? inheritedFds.length() : comma;
            Fd.owning(Integer.parseInt(inheritedFds, from, to, 10), "a descriptor of the launcher's caller")
                    .close();
            from = to + 1;
        }
        System.setErr(new PrintStream(new BoundedLog(log), true, StandardCharsets.UTF_8));
        Processes.newSession();
        try (Fd status = Fd.owning(statusFd, "the launcher's status pipe");
                Arena arena = Arena.ofConfined()) {
            MemorySegment success = arena.allocate(2);
            success.set(JAVA_BYTE, 0, (byte) '0');
            success.set(JAVA_BYTE, 1, (byte) '\n');
            status.write(success);
        } catch (LinuxException e) {
            if (e.errno() != Errno.EPIPE) { // the launcher was killed meanwhile: the session runs all the same
                throw e;
            }
        }
    }
}
