package dev.satchel.session;

import dev.satchel.linux.Keyring;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/**
 * Has ready, by the time that the command line is read, what nearly every command comes to: Java takes longer over its first native function
 * (JEP 454), its first socket and the classes behind Jackson's parser than over the command line, each.
 */
public final class HeadStart {
    private HeadStart() {}

    /** Begins, on a thread that keeps nobody waiting. */
    public static void begin() {
        Thread.ofPlatform().name("head-start").daemon().start(HeadStart::run);
    }

    private static void run() {
        try {
            Optional<Keyring.Key> _ = Keyring.find("satchel:");
            SocketChannel.open(StandardProtocolFamily.UNIX).close();
            JsonObject _ = Json.read("{}".getBytes(StandardCharsets.US_ASCII));
        } catch (IOException e) {
            return; // who needs it comes to the same, and tells it
        }
    }
}
