package dev.satchel.session;

import dev.satchel.vault.ReplicationReport;

/**
 * What {@code vault sync} did.
 *
 * @param destination the other copy
 * @param made whether this made it
 * @param auto whether it is kept up to date by itself from now on
 */
public record SyncResult(String destination, boolean made, boolean auto, ReplicationReport report) {}
