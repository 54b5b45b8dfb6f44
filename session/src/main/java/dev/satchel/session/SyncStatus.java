package dev.satchel.session;

import java.time.Instant;
import java.util.Optional;

/**
 * How far the copy is that this host keeps up to date by itself.
 *
 * @param destination where it is; empty: there is none
 * @param reachable whether it is there now
 * @param working whether somebody on this host brings it up to date just now
 * @param last when that was done last
 * @param failure why it was not done since; empty when nothing is wrong but that the copy was not there
 * @param bytesLeft what it lacks now; empty when it is not there
 */
public record SyncStatus(
        Optional<String> destination,
        boolean reachable,
        boolean working,
        Optional<Instant> last,
        Optional<String> failure,
        Optional<Long> bytesLeft) {}
