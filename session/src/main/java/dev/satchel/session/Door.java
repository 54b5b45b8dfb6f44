package dev.satchel.session;

import dev.satchel.linux.Keyring;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Map;

/**
 * Of a session that has been suspended while somebody looked: what a {@link Doorkeeper} has to know. Nothing of it is secret.
 *
 * @param session its name
 * @param links what its links are kept under in the kernel's keyring
 * @param vaultKey what {@code vault unlock} keeps the vault's key under there
 * @param state this host's state directory
 * @param run the session's run directory, there while it runs
 * @param socket where the doorkeeper is told to leave
 */
public record Door(
        String session,
        String image,
        Instant created,
        String links,
        String vaultKey,
        Path state,
        Path run,
        Path socket) {
    static Door of(byte[] json) throws IOException {
        JsonObject object = Json.read(json);
        return new Door(
                object.text("session"),
                object.text("image"),
                Instant.parse(object.text("created")),
                object.text("links"),
                object.text("vault_key"),
                Path.of(object.text("state")),
                Path.of(object.text("run")),
                Path.of(object.text("socket")));
    }

    /** For a process that becomes the doorkeeper: {@link Doorkeeper#at} reads it. */
    public byte[] toJson() throws IOException {
        return Json.write(Map.of(
                "session",
                session,
                "image",
                image,
                "created",
                created.toString(),
                "links",
                links,
                "vault_key",
                vaultKey,
                "state",
                state.toString(),
                "run",
                run.toString(),
                "socket",
                socket.toString()));
    }

    boolean isVaultUnlocked() throws IOException {
        return Keyring.find(vaultKey).isPresent();
    }
}
