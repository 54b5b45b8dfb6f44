package dev.satchel.session;

import dev.satchel.linux.FileSystems;
import dev.satchel.vault.ChunkSource;
import dev.satchel.vault.ChunkStore;
import dev.satchel.vault.DirectoryBackend;
import dev.satchel.vault.HostCache;
import dev.satchel.vault.Vault;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * Where chunks are read from besides the vault, as it was asked for.
 *
 * @param lookasides directories, and links that {@code vault serve} printed, nearest first; {@link #LOOKASIDES_MAX} at most
 * @param cacheBytes how large the host's cache is; 0: none is used; empty: one is used, as large as makes sense, if the vault is not near
 */
public record ChunkPlaces(List<String> lookasides, OptionalLong cacheBytes) {
    /** Nothing was asked for. */
    public static final ChunkPlaces NONE = new ChunkPlaces(List.of(), OptionalLong.empty());

    /** So many lookasides make sense. */
    public static final int LOOKASIDES_MAX = 8;

    public ChunkPlaces {
        lookasides = List.copyOf(lookasides);
        if (lookasides.size() > LOOKASIDES_MAX) {
            throw new IllegalArgumentException("more than " + LOOKASIDES_MAX + " lookasides: name the nearest");
        }
        for (String lookaside : lookasides) {
            if (isLink(lookaside)) {
                ChunkStore.checkLink(lookaside);
            }
        }
        if (cacheBytes.isPresent()
                && cacheBytes.getAsLong() != 0
                && (cacheBytes.getAsLong() < HostCache.BYTES_MIN || cacheBytes.getAsLong() > HostCache.BYTES_MAX)) {
            throw new IllegalArgumentException("a cache has 4 MiB to 1 TiB, or 0 for none");
        }
    }

    /** Where a host's cache is. */
    static Path cache(Host host) {
        return host.state().resolve("cache");
    }

    private static boolean isLink(String lookaside) {
        return lookaside.startsWith("http://") || lookaside.startsWith("https://");
    }

    /** Whether something was asked for by name. */
    boolean areGiven() {
        return !lookasides.isEmpty() || cacheBytes.orElse(0) > 0;
    }

    /** Whether nothing was asked for, so that it depends on where the vault is. */
    boolean isAutomatic() {
        return lookasides.isEmpty() && cacheBytes.isEmpty();
    }

    /** Has the vault's chunks read from them, too; nothing at all happens where nothing is to be won. */
    void connect(Vault vault, Path vaultPath, Host host) throws IOException {
        boolean near = isNear(vaultPath);
        // What was asked for is done; a cache before a vault on this host's own disk would win nothing by itself.
        boolean cached = cacheBytes.isPresent() ? cacheBytes.getAsLong() > 0 : !near;
        if (lookasides.isEmpty() && !cached) {
            return;
        }
        Optional<HostCache> cache = Optional.empty();
        if (cached) {
            try {
                cache = HostCache.open(cache(host), cacheBytes);
            } catch (IOException e) {
                note("there is no cache, " + e.getMessage() + ": chunks are read from where they are");
            }
        }
        List<ChunkSource> sources = new ArrayList<>();
        for (String lookaside : lookasides) {
            sources.add(source(vault, lookaside));
        }
        // With a cache asked for, the vault is what the cache is for.
        vault.chunks().readThrough(cache, sources, near && cacheBytes.orElse(0) == 0, ChunkPlaces::note);
    }

    private static ChunkSource source(Vault vault, String lookaside) {
        return isLink(lookaside)
                ? ChunkStore.sourceAt(lookaside)
                : vault.chunks()
                        .sourceIn(new DirectoryBackend(Path.of(lookaside).toAbsolutePath()));
    }

    /** The lookasides for who reads from them alone; to be closed. One that is not there now is passed over with a note. */
    List<ChunkSource> lookasidesOf(Vault vault) {
        List<ChunkSource> sources = new ArrayList<>();
        for (String lookaside : lookasides) {
            if (isLink(lookaside) || Files.isDirectory(Path.of(lookaside))) {
                sources.add(source(vault, lookaside));
            } else {
                note("the lookaside " + lookaside + " is not there: chunks are not looked for in it");
            }
        }
        return sources;
    }

    private static void note(String line) {
        System.err.println("satchel: " + line);
    }

    /**
     * Whether a directory is on a disk that is built into this host: not on the network, not in a file system that a program serves, not on
     * anything that hangs on USB. What can't be told counts as near.
     */
    static boolean isNear(Path directory) {
        try {
            int major = FileSystems.deviceMajor(directory);
            if (major == 0) {
                return !isServed((int) FileSystems.usage(directory).type());
            }
            if (!isScsi(major)) {
                return true;
            }
            Path disk = Path.of("/sys/dev/block", major + ":" + FileSystems.deviceMinor(directory));
            return !Files.readSymbolicLink(disk).toString().contains("/usb");
        } catch (IOException e) {
            return true;
        }
    }

    /** What USB's disks are among, Documentation/admin-guide/devices.txt. */
    private static boolean isScsi(int major) {
        return major == 8 || (major >= 65 && major <= 71) || (major >= 128 && major <= 135);
    }

    /** Whether it is one of statfs(2), linux/magic.h: NFS, SMB, CIFS, SMB2, FUSE, 9P, Ceph, AFS, Coda, VirtualBox's. */
    private static boolean isServed(int type) {
        return switch (type) {
            case 0x6969,
                    0x517B,
                    0xFF534D42,
                    0xFE534D42,
                    0x65735546,
                    0x01021997,
                    0x00C36400,
                    0x5346414F,
                    0x73757245,
                    0x786F4256 -> true;
            default -> false;
        };
    }
}
