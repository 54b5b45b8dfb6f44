package dev.satchel.display.web;

import dev.satchel.display.Command;
import dev.satchel.display.codec.Encoder;

/** Turns commands into what docs/PROTOCOL.md has for them. Used by one thread at a time; its server closes it. */
public interface CommandEncoder extends AutoCloseable {
    /** @return the command from its code to its end, of the same meaning whenever it is sent */
    byte[] encode(Command command);

    /** The one that is used but in tests. */
    static CommandEncoder compressing() {
        Encoder encoder = new Encoder();
        return new CommandEncoder() {
            @Override
            public byte[] encode(Command command) {
                return encoder.encode(command);
            }

            @Override
            public void close() {
                encoder.close();
            }
        };
    }

    @Override
    void close();
}
