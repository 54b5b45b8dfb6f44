package dev.satchel.cli;

import dev.satchel.session.VaultKeys;
import dev.satchel.vault.KeySlotInfo;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import java.util.Set;
import picocli.CommandLine.Model.OptionSpec;

/** {@code vault keys add}. */
final class VaultKeysAddCommand extends Command {
    private final OptionSpec label = option("LABEL", "What to call it; nothing if left out.", "--label");
    private final OptionSpec file = option(
            "FILE",
            "Take the new passphrase from this file's first line, - for standard input.",
            "--new-passphrase-file");
    private final OptionSpec recovery =
            flag("A key to keep on paper: prints fifteen words, once, and a QR code of them.", "--recovery");
    private final OptionSpec qr =
            option("FILE", "With --recovery: also write the QR code to this file, as PNG.", "--qr");
    private final OptionSpec securityKey = flag(
            "A security key, or this computer's fingerprint reader: prints a link to open in a browser here.",
            "--security-key");
    private final OptionSpec open = flag("With --security-key: open the link in this desktop's browser.", "--open");

    VaultKeysAddCommand() {
        super("add", "Add a passphrase, a recovery key or a security key");
        describe(
                "Each of a vault's keys opens all of it, on any host. Before one can be added the vault must be unlocked, or one"
                        + " of those that it has is asked for.",
                "The words of a recovery key are typed where a passphrase is asked for, or put into a file for"
                        + " --passphrase-file. Case does not matter, nor what is between them; four letters of each do. A wrong"
                        + " word is found and named.",
                "Security keys are FIDO2 keys with the hmac-secret extension and a PIN or fingerprint reader, or what the"
                        + " browser offers besides, such as the computer's own fingerprint reader. They open the vault with 'vault"
                        + " unlock --security-key', in a browser on the same computer.");
        examples(
                "satchel vault keys add --label office",
                "satchel vault keys add --recovery --label \"in the safe\"",
                "satchel vault keys add --security-key --label \"blue one\" --open");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        if ((given(recovery) && given(securityKey))
                || (optional(file).isPresent() && (given(recovery) || given(securityKey)))) {
            throw new UsageException(
                    "--recovery, --security-key and --new-passphrase-file exclude each other: add one key after the other");
        }
        if ((optional(qr).isPresent() && !given(recovery)) || (given(open) && !given(securityKey))) {
            throw new UsageException("--qr is for --recovery, --open for --security-key: give that, too");
        }
        Optional<String> named = optional(label);
        VaultKeys keys = invocation.satchel().keys();
        if (given(recovery)) {
            addRecovery(invocation, keys, named.orElse(""));
            return 0;
        }
        KeySlotInfo added = given(securityKey)
                ? keys.addSecurityKey(named.orElse(""), new SecurityKeyLink(invocation, given(open)))
                : keys.addPassphrase(invocation.newPassphrase(optional(file)), named.orElse(""));
        invocation.print(new KeyReport("key " + KeyRow.called(added) + " added", added));
        return 0;
    }

    private void addRecovery(Invocation invocation, VaultKeys keys, String named) throws IOException {
        Optional<String> picture = optional(qr);
        VaultKeys.Recovery added;
        if (picture.isPresent() && Files.exists(Path.of(picture.get()))) {
            throw new java.nio.file.FileAlreadyExistsException(picture.get());
        }
        added = keys.addRecovery(named);
        try {
            if (picture.isPresent()) {
                write(Path.of(picture.get()), QrCode.of(RecoveryReport.coded(added.words())));
            }
            invocation.print(new RecoveryReport(added, invocation.isTerminal()));
        } catch (IOException e) {
            // A key whose words nobody has seen is of use to nobody.
            keys.remove(added.key().id().toString());
            throw e;
        }
    }

    /** Only its owner can read it. */
    private static void write(Path file, QrCode code) throws IOException {
        try (FileChannel channel = FileChannel.open(
                        file,
                        Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
                        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
                OutputStream out = Channels.newOutputStream(channel)) {
            code.writePng(out);
        }
    }
}
