package dev.satchel.cli;

import dev.satchel.linux.Terminal;
import dev.satchel.session.PassphraseSource;
import dev.satchel.session.SatchelException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;

/**
 * The passphrase of a vault: the first line of the file that was named, else what is typed on the terminal, unseen. It is never in
 * arguments or variables, which other processes may read, and no copy of it stays here.
 *
 * @param file - is standard input
 * @param vault what is being opened, for the question
 * @param isNew it is being chosen: typed, it is typed twice
 * @param key label or id of the key that it is, if that was said
 */
record Passphrases(Optional<String> file, InputStream in, Path vault, boolean isNew, Optional<String> key)
        implements PassphraseSource {
    private static final int BYTES_MAX = 4096;

    @Override
    public byte[] passphrase() throws IOException {
        byte[] line = file.isPresent() ? fromFile(file.get()) : typed();
        if (line.length == 0) {
            throw failed(
                    file.isPresent()
                            ? "the first line of " + described(file.get()) + " is empty: put the passphrase there"
                            : "no passphrase given: type it when asked, or give --passphrase-file FILE");
        }
        return line;
    }

    private byte[] fromFile(String name) throws IOException {
        byte[] buffer = new byte[BYTES_MAX + 2];
        try {
            int length;
            if (name.equals("-")) {
                length = read(in, buffer);
            } else {
                try (InputStream opened = Files.newInputStream(Path.of(name))) {
                    length = read(opened, buffer);
                }
            }
            byte[] line = withoutEnd(buffer, length);
            if (line.length > BYTES_MAX) {
                throw failed("the first line of " + described(name) + " is longer than " + BYTES_MAX
                        + " bytes: is it the right file?");
            }
            return line;
        } catch (NoSuchFileException e) {
            throw failed("no passphrase file " + name + ": check "
                    + (isNew ? "--new-passphrase-file, or " : "")
                    + "--passphrase-file or " + GlobalOptions.PASSPHRASE_FILE);
        } finally {
            Arrays.fill(buffer, (byte) 0);
        }
    }

    /** Up to and with the end of the first line, and not a byte of a pipe further: what follows may be for somebody else. */
    private static int read(InputStream from, byte[] buffer) throws IOException {
        int length = 0;
        while (length < buffer.length) {
            int b = from.read();
            if (b < 0) {
                break;
            }
            buffer[length++] = (byte) b;
            if (b == '\n') {
                break;
            }
        }
        return length;
    }

    private byte[] typed() throws IOException {
        try (Terminal terminal = Terminal.controlling()
                .orElseThrow(() ->
                        failed("no passphrase and no terminal to ask for it on: give --passphrase-file FILE, or set "
                                + GlobalOptions.PASSPHRASE_FILE
                                + (isNew ? "" : ", or type 'satchel vault unlock' before")))) {
            byte[] first = ask(terminal, isNew ? "New passphrase for vault " + vault : "Passphrase for vault " + vault);
            if (!isNew || first.length == 0) {
                return first;
            }
            byte[] second = ask(terminal, "The same again");
            boolean same = Arrays.equals(first, second);
            Arrays.fill(second, (byte) 0);
            if (!same) {
                Arrays.fill(first, (byte) 0);
                throw failed("the two passphrases differ: try again");
            }
            return first;
        }
    }

    private static byte[] ask(Terminal terminal, String question) throws IOException {
        terminal.hideEcho(); // before the question: TCSAFLUSH would drop an answer that comes quickly
        terminal.write(question + ": ");
        byte[] line = terminal.readLine();
        terminal.restoreEcho(); // Ctrl-C interrupts this thread (Interruption); then closing the terminal does it
        terminal.write("\n");
        byte[] passphrase = withoutEnd(line, line.length);
        Arrays.fill(line, (byte) 0);
        return passphrase;
    }

    private static byte[] withoutEnd(byte[] line, int length) {
        int end = length;
        if (end > 0 && line[end - 1] == '\n') {
            end--;
            if (end > 0 && line[end - 1] == '\r') {
                end--;
            }
        }
        return Arrays.copyOf(line, end);
    }

    private static String described(String name) {
        return name.equals("-") ? "standard input" : name;
    }

    private static SatchelException failed(String message) {
        return new SatchelException(SatchelException.Kind.FAILED, message);
    }
}
