package dev.satchel.vault;

import static java.util.Objects.requireNonNull;

import java.util.Optional;

/**
 * Where a session stands now: the only thing in a vault that changes, always as a whole. Treat the settings array as
 * read-only.
 *
 * @param id the session
 * @param name what people call it; unique among the vault's sessions, 1 to 255 bytes of UTF-8
 * @param generation counts the changes of this head from 1; the next head has exactly one more
 * @param snapshot its newest snapshot, if it has one
 * @param settings belongs to the upper parts; at most {@link #SETTINGS_MAX} bytes
 */
@SuppressWarnings("ArrayRecordComponent") // up to a megabyte of JSON: handed through, never compared
public record Head(SessionId id, String name, long generation, Optional<SnapshotId> snapshot, byte[] settings) {
    /** Longest settings, in bytes. */
    public static final int SETTINGS_MAX = 1 << 18;

    /** Longest name, in bytes of UTF-8. */
    public static final int NAME_MAX = 255;

    public Head {
        requireNonNull(id, "id");
        requireNonNull(name, "name");
        requireNonNull(snapshot, "snapshot");
        requireNonNull(settings, "settings");
        if (name.isEmpty() || name.length() > NAME_MAX) {
            throw new IllegalArgumentException("a session's name has 1 to " + NAME_MAX + " bytes");
        }
        if (generation < 1) {
            throw new IllegalArgumentException("generation " + generation);
        }
        if (settings.length > SETTINGS_MAX) {
            throw new IllegalArgumentException(settings.length + " bytes of settings, at most " + SETTINGS_MAX);
        }
    }

    /** The first head of a new session. */
    public static Head first(SessionId id, String name, Optional<SnapshotId> snapshot, byte[] settings) {
        return new Head(id, name, 1, snapshot, settings);
    }

    /** The head that follows this one. */
    public Head next(Optional<SnapshotId> nextSnapshot, byte[] nextSettings) {
        return new Head(id, name, generation + 1, nextSnapshot, nextSettings);
    }
}
