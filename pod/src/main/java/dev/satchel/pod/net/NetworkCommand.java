package dev.satchel.pod.net;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * One run of ip(8), nft(8) or ss(8), in the network namespace of the thread that starts it, or in one that is named. They end by
 * themselves: each does a few netlink calls.
 */
final class NetworkCommand {
    private final Process process;
    private final String name;
    private final @Nullable IOException unread;

    private NetworkCommand(Process process, String name, @Nullable IOException unread) {
        this.process = process;
        this.name = name;
        this.unread = unread;
    }

    /** {@code ip -batch}: these lines one after the other, up to the first that fails. */
    static NetworkCommand ip(String batch) throws IOException {
        return start(batch, "ip", "-batch", "-");
    }

    /** The same in another namespace. */
    static NetworkCommand ip(NetworkNamespace where, String batch) throws IOException {
        return start(where, batch, "ip", "-batch", "-");
    }

    /** {@code nft -f}: all of these lines as one transaction, or nothing. */
    static NetworkCommand nft(String rules) throws IOException {
        return start(rules, "nft", "-f", "-");
    }

    /** The same in another namespace. */
    static NetworkCommand nft(NetworkNamespace where, String rules) throws IOException {
        return start(where, rules, "nft", "-f", "-");
    }

    /**
     * Starts a command in another namespace, which must stay open until it has finished. By nsenter(1), and not from a thread that is inside: Java would
     * make the thread that waits for its end inside, too, keep it for a minute, and have it start carriers of virtual threads there.
     */
    static NetworkCommand start(NetworkNamespace where, String input, String... command) throws IOException {
        String[] inside = new String[command.length + 2];
        inside[0] = "nsenter";
        inside[1] = "--net=" + where.path();
        System.arraycopy(command, 0, inside, 2, command.length);
        return start(input, inside);
    }

    /** Starts a command with that on its standard input (at most 64 KiB, what a pipe holds). */
    static NetworkCommand start(String input, String... command) throws IOException {
        Process process;
        try {
            process = new ProcessBuilder(command).redirectErrorStream(true).start();
        } catch (IOException e) {
            throw new IOException(command[0] + " can't be run: install iproute2, nftables and util-linux", e);
        }
        IOException unread = null;
        try (OutputStream standardInput = process.getOutputStream()) {
            standardInput.write(input.getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            // It gave up before it read all: its own words, which finish() waits for, say why.
            unread = e;
        }
        return new NetworkCommand(process, String.join(" ", command), unread);
    }

    /** Waits for its end. @return what it printed */
    String finish() throws IOException {
        byte[] output = process.getInputStream().readAllBytes();
        boolean interrupted = false;
        int status;
        while (true) {
            try {
                status = process.waitFor();
                break;
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        String text = new String(output, StandardCharsets.UTF_8);
        if (status != 0) {
            throw new IOException(name + " failed (" + status + "): " + text.strip());
        }
        if (unread != null) {
            throw new IOException(name + " did not read what it was told to do", unread);
        }
        return text;
    }
}
