package dev.satchel.vault;

import static java.util.Objects.requireNonNull;

import java.time.Instant;

/**
 * Who holds a session.
 *
 * @param host which host
 * @param hostName what people call it
 * @param since since when, by that host's clock
 * @param epoch counts the session's holders; a later holder has a higher one
 */
public record LeaseHolder(HostId host, String hostName, Instant since, long epoch) {
    public LeaseHolder {
        requireNonNull(host, "host");
        requireNonNull(hostName, "hostName");
        requireNonNull(since, "since");
    }
}
