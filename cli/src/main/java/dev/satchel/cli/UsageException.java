package dev.satchel.cli;

/** The command line makes no sense, for a reason that the parser can't see. The message reads {@code <what>: <what to do>}. */
final class UsageException extends RuntimeException {
    private static final long serialVersionUID = 1;

    UsageException(String message) {
        super(message);
    }
}
