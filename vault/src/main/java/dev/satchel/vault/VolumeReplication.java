package dev.satchel.vault;

import java.io.IOException;

/**
 * Carries what the disks of running sessions have come to between two snapshots to another copy: the chunks that their logs are over, so that
 * the next snapshot's sync finds them there. It makes no difference to what the copy is: a pin keeps what has arrived, and names
 * what nothing there names yet; whatever goes all the same, a sync brings again.
 *
 * <p>Only for sessions that the copy knows and that are held in this one, as the last {@link Replication} has told it: the pin lasts as long as the
 * copy's lease says so.
 */
public final class VolumeReplication {
    private final Vault from;
    private final Vault to;
    private final Replication.Pace pace;

    /**
     * What was carried.
     *
     * @param chunks that the copy lacked
     * @param bytes written there
     */
    public record Carried(long chunks, long bytes) {
        Carried and(Carried other) {
            return new Carried(chunks + other.chunks, bytes + other.bytes);
        }
    }

    /** @param to a copy that {@code from} has been synced to, opened not long ago: what others have stored there since may be carried again */
    public VolumeReplication(Vault from, Vault to, Replication.Pace pace) {
        this.from = from;
        this.to = to;
        this.pace = pace;
    }

    /**
     * Does it; durable on return. Interrupting the thread breaks it off, and what has arrived stays.
     *
     * @throws DamagedException when what a log is over can't be read
     */
    public Carried run() throws IOException {
        Carried carried = new Carried(0, 0);
        if (!from.id().equals(to.id()) || from.replica().equals(to.replica())) {
            return carried;
        }
        for (Protection.Pinned pin : from.protection().pins()) {
            if (pin.ofVolume()
                    && to.holderElsewhere(pin.owner()).isPresent()
                    && to.backend().size(Vault.headFile(pin.owner())).isPresent()
                    && to.protection().pinVolume(pin.owner(), from.replica(), pin.maps())) {
                try {
                    carried = carried.and(carry(pin));
                } catch (DamagedException e) {
                    // The log may have come to be over something else, and a collection have removed this.
                    if (from.protection().pin(pin.file()).filter(pin::equals).isPresent()) {
                        throw e;
                    }
                }
            }
        }
        return carried;
    }

    private Carried carry(Protection.Pinned pin) throws IOException {
        ChunkTransfer transfer = new ChunkTransfer(from, to, pace, ProgressListener.NONE);
        for (ChunkMapRef map : pin.maps()) {
            transfer.need(map, ChunkMapRef.EMPTY, 0);
        }
        transfer.plan();
        for (KeyDomainId domain : transfer.domains()) {
            Replication.copyKeys(from, to, domain);
        }
        transfer.carry(0);
        return new Carried(transfer.chunksSent(), transfer.bytesSent());
    }

    /** Takes the pins back of sessions whose logs are over nothing but a snapshot, which the caller has carried. */
    static void takeBack(Vault from, Vault to) throws IOException {
        for (String file : to.backend().list("pins")) {
            SessionId session = Vault.sessionOf(file);
            if (file.equals(Protection.volumePin(session, from.replica()))
                    && from.backend().size(Protection.volumePin(session)).isEmpty()) {
                to.backend().delete(file);
            }
        }
    }
}
