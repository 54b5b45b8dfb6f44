package dev.satchel.pod;

import java.io.IOException;

/** CRIU could not take or restore a checkpoint: the message says why and, where it is known, because of which process. */
public final class CheckpointException extends IOException {
    private static final long serialVersionUID = 1;

    CheckpointException(String message) {
        super(message);
    }
}
