package dev.satchel.cli;

import dev.satchel.session.CertificateFiles;
import dev.satchel.session.ListenAddress;
import dev.satchel.session.RemoteAccess;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code view}. */
final class ViewCommand extends Command {
    private final PositionalParamSpec name = session("NAME", "The session; it runs here.");
    private final OptionSpec open = flag("Open it in this desktop's browser.", "--open");
    private final OptionSpec vnc = flag("Have VNC clients let in, too, and print how they connect.", "--vnc");
    private final OptionSpec look =
            flag("A link, or a password, for somebody who may look, and touch nothing.", "--view-only");

    private final OptionSpec listen = option(
            "ADDRESS[:PORT]",
            "Have browsers on other computers let in, too, at this address of this host, by TLS; 0.0.0.0 for all of them.",
            "--listen");
    private final OptionSpec certificate =
            option("FILE", "With --listen: the certificate to show, PEM; else this host's own.", "--certificate");
    private final OptionSpec key = option("FILE", "With --certificate: its key, PEM, PKCS #8.", "--key");
    private final OptionSpec listenNoMore = flag("Let browsers on other computers in no more.", "--no-listen");

    ViewCommand() {
        super("view", "Print the link at which a browser shows a session");
        describe(
                "The session is seen and worked in at that link, by a browser on this host; several may look at once. The"
                        + " link holds a secret of this session's: whoever has it is let in, until the session is stopped"
                        + " or goes on elsewhere. After a suspend it is good again if the session is resumed on this host within"
                        + " twelve hours, and nobody else has taken its port.",
                "With --listen, browsers on other computers are let in as well, from then on, at that address and by TLS"
                        + " only. Browsers ask once whether this host's own certificate is to be trusted: compare the"
                        + " fingerprint that is printed with the one they show, or give a certificate that they know. It"
                        + " stays so, also after a suspend and resume here, until --no-listen, or the session is stopped or"
                        + " goes on elsewhere.",
                "With --vnc, VNC clients on this host are let in as well, from then on: TigerVNC's viewer, Remmina, noVNC and"
                        + " others. Until it is asked for, nothing listens for them. Port and password stay the same as"
                        + " long as the link does. Clients that do not encrypt send a proof of the"
                        + " password's first eight characters only.");
        examples(
                "satchel view work",
                "satchel view work --open",
                "satchel view work --view-only            # to show somebody",
                "satchel view work --listen 192.0.2.7:8443",
                "satchel view work --vnc                  # for a VNC client");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        if (given(listen) || given(listenNoMore) || given(certificate) || given(key)) {
            return runListen(invocation);
        }
        if (given(vnc)) {
            if (given(open)) {
                throw new UsageException("--open is for browsers: leave out --vnc, or start the VNC client yourself");
            }
            invocation.print(new VncReport(text(name), invocation.satchel().vnc(text(name), given(look))));
            return 0;
        }
        String url = invocation.satchel().viewUrl(text(name), given(look));
        invocation.print(new SentenceReport(url, "session", text(name), "view_url", url));
        if (given(open)) {
            startBrowser(url);
        }
        return 0;
    }

    /** Has this desktop's browser open a link. */
    static void startBrowser(String url) throws IOException {
        try {
            Process ignored = new ProcessBuilder("xdg-open", url)
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
        } catch (IOException e) {
            throw new IOException("no browser could be started, as there is no xdg-open: open the link yourself", e);
        }
    }

    private int runListen(Invocation invocation) throws IOException {
        if (given(vnc) || given(open)) {
            throw new UsageException((given(vnc) ? "--vnc" : "--open")
                    + " is for this computer, --listen for others: VNC clients come from elsewhere by ssh -L");
        }
        if (given(certificate) != given(key)
                || (given(certificate) && !given(listen))
                || (given(listen) && given(listenNoMore))) {
            throw new UsageException("--certificate and --key go together, with --listen, and --no-listen alone");
        }
        if (given(listenNoMore)) {
            boolean listened = invocation.satchel().listenNoMore(text(name));
            invocation.print(new SentenceReport(
                    listened
                            ? "browsers on other computers are let in no more"
                            : "nothing listened for other computers",
                    "session",
                    text(name)));
            return 0;
        }
        ListenAddress address;
        try {
            address = ListenAddress.parse(text(listen));
        } catch (IllegalArgumentException e) {
            throw new UsageException(String.valueOf(e.getMessage()));
        }
        RemoteAccess access = invocation
                .satchel()
                .listen(
                        text(name),
                        address,
                        given(certificate)
                                ? Optional.of(new CertificateFiles(Path.of(text(certificate)), Path.of(text(key))))
                                : Optional.empty(),
                        given(look));
        invocation.print(new SentenceReport(
                access.ownCertificate()
                        ? access.url() + "\n  certificate  SHA-256 " + access.fingerprint()
                                + "\n               this host's own: browsers ask at the first time; compare it"
                        : access.url(),
                "session",
                text(name),
                "view_url",
                access.url(),
                "certificate_sha256",
                access.fingerprint()));
        return 0;
    }
}
