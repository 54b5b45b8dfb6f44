package dev.satchel.volume;

import java.io.IOException;

/**
 * There is a write log, but it belongs to other snapshots than the one that was opened. It is left as it is: opening the
 * volume where it belongs replays it, opening it with {@link VolumeOptions.ExistingLog#DISCARD} gives it up.
 */
public final class StaleLogException extends IOException {
    private static final long serialVersionUID = 1;

    StaleLogException(String message) {
        super(message);
    }
}
