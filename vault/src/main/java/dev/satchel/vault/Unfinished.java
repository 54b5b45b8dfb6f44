package dev.satchel.vault;

/** For what is being written. */
final class Unfinished {
    private Unfinished() {}

    @SuppressWarnings({"DoNotCallSuggester", "TypeParameterUnusedInFormals"}) // goes away with the last of its callers
    static <T> T here() {
        throw new UnsupportedOperationException("not yet");
    }
}
