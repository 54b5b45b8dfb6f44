package dev.satchel.cli;

import dev.satchel.session.SyncRequest;
import dev.satchel.session.SyncResult;
import dev.satchel.vault.Replication;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code vault sync}. */
final class VaultSyncCommand extends Command {
    private final PositionalParamSpec destination = argumentIfAny(
            0,
            "DEST",
            "The copy: a directory that is empty or holds a copy of this vault. May be left out if --auto-sync has said it.");
    private final PositionalParamSpec sessions =
            anyNumber(1, "SESSION", "Only these sessions; else all, and the images.");
    private final OptionSpec pull = flag("Bring this vault up to date from DEST.", "--pull");
    private final OptionSpec both = flag("Bring both up to date.", "--both");
    private final OptionSpec dryRun = flag("Only say what would be sent.", "--dry-run");
    private final OptionSpec resend = flag(
            "Look through everything, not only through what is new: also send what was removed or got lost there.",
            "--resend");
    private final OptionSpec auto = flag(
            "From now on, keep DEST up to date from this host: after each snapshot and suspend, in the background, whenever"
                    + " DEST is there.",
            "--auto-sync");
    private final OptionSpec noAuto = flag("Do that no more.", "--no-auto-sync");
    private final OptionSpec status = flag("Say how far the copy of --auto-sync is.", "--status");

    VaultSyncCommand() {
        super("sync", "Bring a copy of the vault up to date, or this vault from it");
        describe(
                "Copies what DEST lacks, encrypted as it is. DEST is a vault of its own: it opens with the same passphrase,"
                        + " and an empty directory becomes one. It is whole at every instant, so the command may be interrupted or"
                        + " DEST be unplugged at any time; the next sync goes on where that one ended.",
                "A session that went on in both places becomes two: the one with more changes keeps its name, the other is"
                        + " called NAME~DATE. Nothing is overwritten. What runs is not disturbed: its newest snapshot is sent.",
                "A lost device is rebuilt the other way round: 'satchel --vault COPY vault sync NEW-DEVICE'.");
        examples(
                "satchel vault sync /srv/backup/vault",
                "satchel vault sync /srv/backup/vault --auto-sync   # and from now on by itself",
                "satchel vault sync /srv/backup/vault --both        # work was done in either",
                "satchel vault sync --status");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        String vault = invocation.vault().toString();
        if (given(pull) && given(both)) {
            throw new UsageException("--pull and --both exclude each other: choose one");
        }
        if (given(status)) {
            invocation.print(new SyncStatusReport(vault, invocation.satchel().syncStatus()));
            return 0;
        }
        if (given(noAuto)) {
            boolean was = invocation.satchel().keepNoCopy();
            invocation.print(new SentenceReport(
                    was ? "no copy is kept up to date any more" : "no copy was kept up to date", "vault", vault));
            return 0;
        }
        Replication.Direction direction = given(pull)
                ? Replication.Direction.PULL
                : given(both) ? Replication.Direction.BOTH : Replication.Direction.PUSH;
        SyncResult result = invocation
                .satchel()
                .sync(
                        new SyncRequest(
                                VaultSyncCommand.<String>optional(destination).map(Path::of),
                                direction,
                                VaultSyncCommand.<List<String>>optional(sessions)
                                        .orElse(List.of()),
                                given(resend),
                                given(dryRun)),
                        given(auto));
        invocation.print(new SyncReport(vault, result, given(dryRun)));
        for (String line : result.report().damaged()) {
            invocation.note(line);
        }
        return result.report().damaged().isEmpty() ? 0 : Failure.NOT_AUTHENTIC;
    }
}
