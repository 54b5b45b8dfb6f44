package dev.satchel.session;

import dev.satchel.vault.HostId;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;

/**
 * This host, as one state directory makes it: two state directories on one machine act as two hosts.
 *
 * @param id random, made at first use
 * @param name the machine's host name, for people
 * @param state the state directory, mode 0700; holds nothing of a session that is not running
 * @param tools what setup installed: {@code criu/criu}
 * @param recipes the directory of image recipes
 */
public record Host(HostId id, String name, Path state, Path tools, Path recipes) {
    private static final Path KERNEL_NAME = Path.of("/proc/sys/kernel/hostname");

    /** Opens a state directory, making it at first use. */
    public static Host open(Path state, Path tools, Path recipes) throws IOException {
        Path directory = state.toAbsolutePath().normalize();
        if (!Files.isDirectory(directory)) {
            Files.createDirectories(
                    directory, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        }
        Path file = directory.resolve("host-id");
        HostId id;
        if (Files.exists(file)) {
            id = HostId.parse(Files.readString(file).strip());
        } else {
            id = HostId.random();
            Path fresh = directory.resolve("host-id." + ProcessHandle.current().pid());
            Files.writeString(fresh, id + "\n");
            try {
                Files.createLink(file, fresh);
            } catch (java.nio.file.FileAlreadyExistsException e) {
                id = HostId.parse(Files.readString(file).strip());
            } finally {
                Files.delete(fresh);
            }
        }
        return new Host(id, Files.readString(KERNEL_NAME).strip(), directory, tools, recipes);
    }

    /** CRIU's program. */
    Path criu() {
        return tools.resolve("criu").resolve("criu");
    }

    /** Where {@link #runDirectory those of running sessions} are; not there when none runs. */
    Path runs() {
        return state.resolve("run");
    }

    /** Where a running session keeps its mounts, sockets and bundle; gone when it does not run. */
    Path runDirectory(dev.satchel.vault.SessionId session) {
        return runs().resolve(session.toString());
    }

    /** The socket of who answers a suspended session's pages; there as long as somebody does. */
    Path doorkeeper(dev.satchel.vault.SessionId session) {
        return state.resolve("doors").resolve(session.toString());
    }
}
