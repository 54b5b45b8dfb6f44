package dev.satchel.pod;

import dev.satchel.linux.Fd;
import dev.satchel.linux.Processes;
import dev.satchel.linux.UnixSocket;
import dev.satchel.linux.Userfaultfd;
import java.io.Closeable;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;

/**
 * Sees to it that nobody runs on with zeros for memory when the supervisor is killed while some of it is missing. Whoever waits for
 * a page is let go when the last descriptor of its userfaultfd(2) is closed; so another process, a shell that does nothing, keeps
 * each of them open, on its way through a socket that nobody reads. When the supervisor ends, the shell kills the pod, and ends.
 */
final class MemoryGuard implements Closeable {
    /**
     * Begins when its standard input ends, without the word that all is well. Its arguments are the file that lists processes, and
     * what is to be written where, so that who is frozen is ended, too. Whoever called {@code resume} may wait for the end of its
     * standard error.
     */
    private static final String SCRIPT = """
            exec 2>/dev/null
            trap '' HUP INT QUIT TERM
            read -r _ && exit 0
            while any=; do
              while read -r process; do any=1; kill -9 "$process"; done <"$1"
              [ -z "$2" ] || echo "$3" >"$2"
              [ -n "$any" ] || exit 0
            done
            """;

    private final Fd.Pipe life;
    private final UnixSocket.Pair keep;
    private final int process;

    private MemoryGuard(Fd.Pipe life, UnixSocket.Pair keep, int process) {
        this.life = life;
        this.keep = keep;
        this.process = process;
    }

    /** @param pod the processes to be killed */
    static MemoryGuard of(Cgroup pod) throws IOException {
        Fd.Pipe life = Fd.pipe();
        try {
            UnixSocket.Pair keep = UnixSocket.pair();
            try {
                int process = Processes.start(
                        List.of(
                                "/bin/sh",
                                "-c",
                                SCRIPT,
                                "satchel-guard",
                                pod.processFiles().getFirst().toString(),
                                pod.freezer().map(Path::toString).orElse(""),
                                Cgroup.THAWED),
                        life.reader(),
                        keep.other().fd());
                life.reader().close();
                keep.other().close();
                return new MemoryGuard(life, keep, process);
            } catch (IOException | RuntimeException e) {
                keep.close();
                throw e;
            }
        } catch (IOException | RuntimeException e) {
            life.close();
            throw e;
        }
    }

    /** Keeps one open until this is closed, as long as there is room: for some hundred. */
    void keep(Userfaultfd faults) throws IOException {
        boolean ignored = keep.one().sendDescriptor(faults.fd());
    }

    /** Nothing is missing any more, or the pod has ended: the guard goes, and all that it kept open. */
    @Override
    public void close() throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment word = arena.allocate(1);
            word.set(ValueLayout.JAVA_BYTE, 0, (byte) '\n');
            life.writer().write(word);
        } finally {
            life.close();
            keep.close();
            Processes.awaitEnd(process);
        }
    }
}
