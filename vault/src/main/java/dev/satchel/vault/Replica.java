package dev.satchel.vault;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Copies of one vault: the same id, the same keys, and so objects that are the same byte for byte; each is a vault of its own, and may
 * go on by itself. The object {@code replica} says which copy one is; the vault that {@link Vault#init} made has none.
 */
final class Replica {
    static final String FILE = "replica";
    private static final int SLOT_BYTES_MAX = 4096;

    private Replica() {}

    /** Which copy an opened vault is. */
    static ReplicaId read(Vault vault) throws IOException {
        Optional<byte[]> stored = vault.backend().get(FILE, Vault.OBJECT_BYTES_MAX);
        if (stored.isEmpty()) {
            return ReplicaId.ORIGINAL;
        }
        try {
            return idIn(vault, stored.get());
        } catch (DamagedException | ForgedException e) {
            throw new ForgedException("the file " + FILE + " in "
                    + vault.backend().location()
                    + " is damaged or forged: remove it, the next 'satchel vault sync' with this copy makes another; before that,"
                    + " see that the vault's sessions are as new as they should be");
        }
    }

    private static ReplicaId idIn(Vault vault, byte[] stored) throws VaultException {
        String shown = "the file " + FILE;
        Decoder in = new Decoder(vault.sealer().open(ObjectSealer.Kind.REPLICA, FILE, stored, shown), shown);
        ReplicaId id = new ReplicaId(in.u64(), in.u64());
        in.end();
        return id;
    }

    static byte[] sealed(Vault vault, ReplicaId id) {
        return vault.sealer()
                .seal(
                        ObjectSealer.Kind.REPLICA,
                        FILE,
                        new Encoder().u64(id.high()).u64(id.low()).toBytes());
    }

    /** See {@link Vault#openReplica}. */
    static Vault open(Vault vault, Backend place, VaultKey key, HeadWitness seen, boolean make) throws IOException {
        try {
            Optional<byte[]> there = place.get(Vault.CONFIG, SLOT_BYTES_MAX);
            if (there.isEmpty()) {
                if (!make) {
                    throw new NoSuchException("there is no copy of this vault in " + place.location()
                            + ": make one with 'satchel vault sync " + place.location() + "'");
                }
                create(vault, place);
            } else if (!Vault.identify(place).equals(vault.id())) {
                throw new ExistsException("another vault is in " + place.location()
                        + ": name an empty directory, or one that holds a copy of this vault");
            }
        } catch (IOException | RuntimeException e) {
            try {
                place.close();
            } catch (IOException suppressed) {
                e.addSuppressed(suppressed);
            }
            throw e;
        }
        return Vault.open(place, key, seen);
    }

    /** The file {@code vault} is last: with it the copy is there, and opens with the same passphrases. */
    private static void create(Vault vault, Backend place) throws IOException {
        for (String name : place.list("")) {
            if (!name.startsWith("keys/") && !name.equals(FILE)) {
                if (place.size(Vault.CONFIG).isPresent()) {
                    throw madeJustNow(place);
                }
                throw new ExistsException("there is something else in " + place.location() + " (" + name
                        + "): name an empty directory for the copy");
            }
        }
        copySlots(vault, place, vault.backend().list("keys"));
        Optional<byte[]> before = place.get(FILE, Vault.OBJECT_BYTES_MAX);
        boolean named = place.replace(FILE, before, sealed(vault, ReplicaId.random()));
        byte[] config = vault.backend()
                .get(Vault.CONFIG, SLOT_BYTES_MAX)
                .orElseThrow(() -> new DamagedException("the file " + Vault.CONFIG + " is missing from "
                        + vault.backend().location() + ": put it back from a copy of the vault"));
        if (!named || !place.replace(Vault.CONFIG, Optional.empty(), config)) {
            throw madeJustNow(place);
        }
    }

    private static ExistsException madeJustNow(Backend place) {
        return new ExistsException("somebody else makes a vault in " + place.location() + " just now: type it again");
    }

    /** Copies key slots, those that are whole. */
    static int copySlots(Vault from, Backend to, List<String> names) throws IOException {
        int copied = 0;
        for (String name : names) {
            Optional<byte[]> slot = from.backend().get(name, SLOT_BYTES_MAX);
            if (slot.isEmpty()) {
                continue;
            }
            from.checkSlot(name);
            if (to.replace(name, Optional.empty(), slot.get())) {
                copied++;
            }
        }
        return copied;
    }

    /**
     * Sees to it that two copies have different names, which those have not that were made by copying files.
     *
     * @throws ExistsException when both are one and the same place
     */
    static void tellApart(Vault first, Vault second) throws IOException {
        if (!first.replica().equals(second.replica())) {
            return;
        }
        Backend place = second.backend();
        Optional<byte[]> before = place.get(FILE, Vault.OBJECT_BYTES_MAX);
        byte[] fresh = sealed(second, ReplicaId.random());
        if (!place.replace(FILE, before, fresh)) {
            throw new ExistsException("somebody else works on " + place.location() + " just now: type it again");
        }
        byte[] inFirst = first.backend().get(FILE, Vault.OBJECT_BYTES_MAX).orElse(new byte[0]);
        if (Arrays.equals(inFirst, fresh)) {
            if (before.isPresent()) {
                boolean ignored = place.replace(FILE, Optional.of(fresh), before.get());
            } else {
                place.delete(FILE);
            }
            throw new ExistsException(place.location() + " and "
                    + first.backend().location() + " are the same place: name another one for the copy");
        }
        second.named(idIn(second, fresh));
    }
}
