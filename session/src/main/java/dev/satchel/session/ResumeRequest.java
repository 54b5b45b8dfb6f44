package dev.satchel.session;

import java.util.Optional;

/**
 * What {@code resume} is asked for.
 *
 * @param at a snapshot's label, its id or a prefix of that which is unique in the session's history
 * @param fresh boot on the newest files instead of restoring processes
 * @param takeOver take the session from a host that holds it; that host can't write any more
 * @param lazy whether programs are to run before their memory has arrived; empty: where that is sooner
 */
public record ResumeRequest(
        String session, Optional<String> at, boolean fresh, boolean takeOver, Optional<Boolean> lazy) {}
