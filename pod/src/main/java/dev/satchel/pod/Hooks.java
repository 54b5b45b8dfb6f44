package dev.satchel.pod;

import dev.satchel.linux.Fifo;
import dev.satchel.linux.Processes;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import org.jspecify.annotations.Nullable;

/**
 * CRIU's action script (criu(8), {@code --action-script}), answered from here: a few lines of shell pass the action's name through
 * one FIFO and take its exit code from another, so that CRIU waits while this process does what the action is for.
 */
final class Hooks implements AutoCloseable {
    /** Called on the hook thread, one action at a time; a failure makes CRIU undo what it does. */
    interface Listener {
        /**
         * An action has come.
         *
         * @param action the name that CRIU gives it, e.g. {@code post-dump}
         * @param initPid the pod's first process in the host's pid namespace; 0 where CRIU has none yet
         */
        void on(String action, long initPid) throws IOException;
    }

    private static final int MESSAGE_BYTES_MAX = 256;
    private static final String SCRIPT = "hook";
    private static final int CLEAN_UP_PASSES_MAX = 1000;

    private final Path script;
    private final FileChannel questions;
    private final FileChannel answers;
    private final Thread thread;
    private volatile @Nullable Throwable failure;

    private Hooks(Path script, FileChannel questions, FileChannel answers, Listener listener) {
        this.script = script;
        this.questions = questions;
        this.answers = answers;
        this.thread = Thread.ofPlatform().name("criu-hooks").daemon().start(() -> listen(listener));
    }

    /**
     * Makes script and FIFOs in {@code directory}.
     *
     * @param actions those that {@code listener} hears; the others pass without a word
     */
    static Hooks start(Path directory, String actions, Listener listener) throws IOException {
        Path question = directory.resolve("hook-question");
        Path answer = directory.resolve("hook-answer");
        Path script = directory.resolve(SCRIPT);
        for (Path fifo : new Path[] {question, answer}) {
            Files.deleteIfExists(fifo);
            Fifo.make(fifo, 0600);
        }
        Files.deleteIfExists(script);
        Files.createFile(script, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        Files.writeString(script, """
                #!/bin/sh
                case " %s " in *" $CRTOOLS_SCRIPT_ACTION "*) ;; *) exit 0 ;; esac
                echo "$CRTOOLS_SCRIPT_ACTION ${CRTOOLS_INIT_PID:-0}" >'%s'
                read code <'%s' && exit "$code"
                """.formatted(actions, question, answer));
        // Both ends are held open here: a FIFO opened for one end waits for the other, and ends with its last writer.
        FileChannel questions = FileChannel.open(question, StandardOpenOption.READ, StandardOpenOption.WRITE);
        try {
            FileChannel answers = FileChannel.open(answer, StandardOpenOption.READ, StandardOpenOption.WRITE);
            return new Hooks(script, questions, answers, listener);
        } catch (IOException | RuntimeException e) {
            questions.close();
            throw e;
        }
    }

    /**
     * Ends a CRIU that the death of its supervisor left waiting for an answer here, and the script through which it asks. It holds
     * what it froze, and reaps what is killed, so that neither would ever end.
     */
    static void cleanUp(Path directory) throws IOException {
        Path script = directory.resolve(SCRIPT);
        if (!Files.exists(script)) {
            return;
        }
        String argument = "\0" + script + "\0"; // CRIU's, or the shell's that runs it
        // Again until there are none: one that is found may have forked since those after it were listed.
        for (int pass = 0; pass < CLEAN_UP_PASSES_MAX && killAll(argument); pass++) {
            Thread.onSpinWait();
        }
    }

    /** @return whether there were any */
    private static boolean killAll(String argument) throws IOException {
        boolean any = false;
        try (DirectoryStream<Path> processes = Files.newDirectoryStream(Path.of("/proc"), "[0-9]*")) {
            for (Path process : processes) {
                if (commandLine(process).contains(argument)) {
                    any = true;
                    boolean ignored =
                            Processes.kill(Long.parseLong(process.getFileName().toString()), Processes.SIGKILL);
                }
            }
        }
        return any;
    }

    private static String commandLine(Path process) {
        try {
            return new String(Files.readAllBytes(process.resolve("cmdline")), StandardCharsets.UTF_8);
        } catch (IOException e) {
            return ""; // it has just ended: ESRCH
        }
    }

    Path script() {
        return script;
    }

    /** What the listener threw, if it did. */
    @Nullable
    Throwable failure() {
        return failure;
    }

    private void listen(Listener listener) {
        ByteBuffer buffer = ByteBuffer.allocate(MESSAGE_BYTES_MAX);
        try {
            while (true) {
                buffer.clear();
                questions.read(buffer);
                String message = new String(buffer.array(), 0, buffer.position(), StandardCharsets.US_ASCII).strip();
                int space = message.indexOf(' ');
                int code = 0;
                try {
                    listener.on(message.substring(0, space), Long.parseLong(message.substring(space + 1)));
                } catch (IOException | RuntimeException | Error e) {
                    failure = e;
                    code = 1;
                }
                answers.write(ByteBuffer.wrap((code + "\n").getBytes(StandardCharsets.US_ASCII)));
            }
        } catch (ClosedChannelException e) {
            // close() ends this thread so.
        } catch (IOException e) {
            failure = e;
        }
    }

    @Override
    public void close() throws IOException {
        try (questions;
                answers) {
            thread.interrupt();
        }
    }
}
