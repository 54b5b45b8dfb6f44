package dev.satchel.cli;

import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import picocli.CommandLine.Model.OptionSpec;

/** {@code vault unlock}. */
final class VaultUnlockCommand extends Command {
    private final OptionSpec keep = option(
            Duration.class,
            new Quantities.Time(),
            "TIME",
            "For how long, e.g. 30m, 8h or 2d; 8h if left out.",
            "--for");

    private final OptionSpec key =
            option("KEY", "Which of the vault's keys it is, by label or id: no other is tried.", "--key");
    private final OptionSpec securityKey = flag(
            "By a security key, or this computer's fingerprint reader: prints a link to open in a browser here.",
            "--security-key");
    private final OptionSpec open = flag("With --security-key: open the link in this desktop's browser.", "--open");

    VaultUnlockCommand() {
        super("unlock", "Keep the vault's key on this host for a while");
        describe(
                "Until then no command asks for the passphrase, nor pays for the time that guessing one is made to take. The"
                        + " key stays in the kernel's memory, never on a disk.");
        examples("satchel vault unlock --for 2h", "satchel vault unlock --security-key --open");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        Optional<Duration> given = optional(keep);
        Duration time = given.orElse(Duration.ofHours(8));
        String vault = invocation.vault().toString();
        invocation.nameKey(optional(key));
        if (given(securityKey)) {
            invocation.satchel().keys().unlockBySecurityKey(time, new SecurityKeyLink(invocation, given(open)));
        } else if (given(open)) {
            throw new UsageException("--open is for --security-key: give that, too");
        } else {
            invocation.satchel().unlock(time);
        }
        invocation.print(
                new SentenceReport("vault " + vault + " unlocked for " + Quantities.duration(time), "vault", vault));
        return 0;
    }
}
