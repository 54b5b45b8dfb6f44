package dev.satchel.cli;

import dev.satchel.session.CertificateFiles;
import dev.satchel.session.ChunkServer;
import dev.satchel.session.ListenAddress;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import picocli.CommandLine.Model.OptionSpec;

/** {@code vault serve}. */
final class VaultServeCommand extends Command {
    private final OptionSpec readOnly =
            flag("Give chunks out and take none. There is no other way yet, so it must be said.", "--read-only");
    private final OptionSpec listen = option(
            "ADDRESS[:PORT]",
            "Listen at this address of this host, by TLS, or at 0.0.0.0 for all of them; else for this host only.",
            "--listen");
    private final OptionSpec certificate =
            option("FILE", "The certificate to show, PEM; else this host's own.", "--certificate");
    private final OptionSpec secretFile = option(
            "FILE",
            "Print the same link each time: its port and secret are kept in this file, which is made for you alone if it is not"
                    + " there.",
            "--secret-file");
    private final OptionSpec key = option("FILE", "With --certificate: its key, PEM, PKCS #8.", "--key");

    VaultServeCommand() {
        super("serve", "Give the vault's chunks, encrypted, to other hosts");
        describe(
                "Prints a link, and serves until Ctrl-C. Whoever has the link can fetch chunks by their names, encrypted as they"
                        + " are in the vault; neither what is in them nor a key is given out. Other hosts name it with"
                        + " --lookaside, and read from it what is nearer here than where their vault is. A link is worth"
                        + " nothing any more when the command ends, unless --secret-file keeps it for the next time.");
        examples(
                "satchel vault serve --read-only",
                "satchel vault serve --read-only --listen 192.0.2.7:7420",
                "satchel vault serve --read-only --secret-file /etc/satchel-link",
                "satchel resume work --lookaside 'https://192.0.2.7:7420/?k=...'    # on another host");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        if (!given(readOnly)) {
            throw new UsageException("a vault is served for reading only as yet: say --read-only");
        }
        if (optional(certificate).isPresent() != optional(key).isPresent()) {
            throw new UsageException("--certificate and --key go together");
        }
        ListenAddress address;
        try {
            address = ListenAddress.parse(Command.<String>optional(listen).orElse("127.0.0.1"));
        } catch (IllegalArgumentException e) {
            throw new UsageException(String.valueOf(e.getMessage()));
        }
        Optional<CertificateFiles> files = optional(certificate).isPresent()
                ? Optional.of(new CertificateFiles(Path.of(text(certificate)), Path.of(text(key))))
                : Optional.empty();
        try (ChunkServer server = invocation
                .satchel()
                .serve(address, files, Command.<String>optional(secretFile).map(Path::of))) {
            invocation.interruption().expect();
            invocation.print(new SentenceReport(
                    server.link(),
                    "vault",
                    invocation.vault().toString(),
                    "url",
                    server.link(),
                    "certificate_sha256",
                    server.fingerprint().orElse("")));
            new CountDownLatch(1).await();
        } catch (InterruptedException e) {
            // So it is ended.
            return 0;
        }
        return 0;
    }
}
