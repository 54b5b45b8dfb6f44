package dev.satchel.pod;

import dev.satchel.vault.ChunkMap;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkStore;
import dev.satchel.vault.ChunkWriter;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * The formats that checkpoints have been stored in, and the filters through which an older one comes to be of the next, one step at a
 * time. Whoever changes the format adds a filter here and a vault of the former one to the tests ({@code VaultFixture}); all that
 * reads checkpoints then knows the present format alone. What is below, sealed and compressed chunks, is the vault's: a chunk
 * names its codec itself.
 */
public final class CheckpointFormats {
    /** The one that is written, and that {@link Pod} reads. */
    public static final int CURRENT = ImageArchive.FORMAT;

    /** In order: the first is from format 1. */
    private static final List<Upgrade> UPGRADES = List.of(new WindowsWithTwoSlots());

    private CheckpointFormats() {}

    /** A filter from one format to the next. Memory itself is not copied: its chunks are named anew. */
    private interface Upgrade {
        /** What is done. */
        String name();

        int from();

        Checkpoint apply(ChunkStore chunks, ChunkWriter writer, Checkpoint checkpoint) throws IOException;
    }

    /** The names of the filters that a checkpoint of that format needs, in order; none if it is the present one. */
    public static List<String> needed(int format) {
        List<String> names = new ArrayList<>();
        for (Upgrade upgrade : UPGRADES) {
            if (upgrade.from() >= format) {
                names.add(upgrade.name() + "/" + upgrade.from());
            }
        }
        return names;
    }

    /**
     * Which format a checkpoint has.
     *
     * @throws IOException when no version can have written it
     */
    public static int of(ChunkStore chunks, Checkpoint checkpoint) throws IOException {
        return ImageArchive.format(chunks, checkpoint.images());
    }

    /**
     * Brings a checkpoint to the present format.
     *
     * @param writer gets what is new, which is little; the result can be read once it has committed
     * @return the checkpoint itself if it is of the present format
     * @throws IOException when it is of a newer one
     */
    public static Checkpoint upgrade(ChunkStore chunks, ChunkWriter writer, Checkpoint checkpoint) throws IOException {
        int format = of(chunks, checkpoint);
        if (format > CURRENT) {
            throw new IOException("the session's memory is stored in format " + format
                    + ", this version of Satchel knows formats up to " + CURRENT
                    + ": use the version that suspended it, or a newer one");
        }
        Checkpoint current = checkpoint;
        for (Upgrade upgrade : UPGRADES) {
            if (upgrade.from() == format) {
                if (!current.equals(checkpoint)) {
                    // The next filter reads what this one wrote.
                    var _ = writer.commit();
                }
                current = upgrade.apply(chunks, writer, current);
                format++;
            }
        }
        return current;
    }

    /** In format 1 a window had one slot, as it was stored whole; since 2 it has another for what changed in it. */
    private static final class WindowsWithTwoSlots implements Upgrade {
        @Override
        public String name() {
            return "windows-with-two-slots";
        }

        @Override
        public int from() {
            return 1;
        }

        @Override
        public Checkpoint apply(ChunkStore chunks, ChunkWriter writer, Checkpoint checkpoint) throws IOException {
            ChunkMap before = ChunkMap.load(chunks, checkpoint.pages());
            ChunkMap.Editor after = ChunkMap.load(chunks, ChunkMapRef.EMPTY).edit();
            for (PagesFile file : ImageArchive.pagesFiles(chunks, checkpoint.images(), from())) {
                before.forEach(
                        file.firstSlot(), file.endSlot(), (slot, ref) -> after.set(slot * PageWindows.SLOTS, ref));
            }
            return new Checkpoint(
                    ImageArchive.convert(chunks, checkpoint.images(), from(), WindowsWithTwoSlots::converted, writer),
                    after.store(writer),
                    checkpoint.processes(),
                    checkpoint.bytesMemory());
        }

        private static PagesFile converted(PagesFile file) {
            return new PagesFile(
                    file.name(),
                    file.firstSlot() * PageWindows.SLOTS,
                    file.slots() * PageWindows.SLOTS,
                    file.sizeBytes());
        }
    }
}
