package dev.satchel.vault;

import static java.util.Objects.requireNonNull;

import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Predicate;

/**
 * What a repair may use and do.
 *
 * @param replicas other copies of the vault, whole or not, as new or older; trusted with nothing. They stay the caller's
 * @param sources other places that may have chunks; stay the caller's
 * @param dryRun finds out what could be mended, and changes nothing
 * @param giveUp what nothing can mend is put aside, and a session whose head or newest snapshot is lost goes back to its newest
 *     snapshot whose disk is whole; else all of that stays as it is, so that a copy that turns up later can still mend it
 * @param host this host, in whose name leases are remade
 * @param hostName its name, for messages to people
 * @param inUse whether a session runs here: it is not sent back
 * @param described what a snapshot says about its session's head: used when nothing else is left of that. Its generation counts nothing
 */
public record RepairRequest(
        List<Backend> replicas,
        List<ChunkSource> sources,
        boolean dryRun,
        boolean giveUp,
        HostId host,
        String hostName,
        Predicate<SessionId> inUse,
        Function<Snapshot, Optional<Head>> described) {
    public RepairRequest {
        replicas = List.copyOf(replicas);
        sources = List.copyOf(sources);
        requireNonNull(host, "host");
        requireNonNull(hostName, "hostName");
        requireNonNull(inUse, "inUse");
        requireNonNull(described, "described");
    }
}
