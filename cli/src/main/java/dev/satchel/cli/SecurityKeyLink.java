package dev.satchel.cli;

import dev.satchel.session.VaultKeys;
import java.io.IOException;

/**
 * Shows the link of the page that a security key is used at, on standard error: standard output is for what comes of it.
 *
 * @param open also starts this desktop's browser
 */
record SecurityKeyLink(Invocation invocation, boolean open) implements VaultKeys.LinkListener {
    @Override
    public void open(String link) throws IOException {
        invocation.note("open this link in a browser on this computer, within five minutes: " + link);
        if (open) {
            ViewCommand.startBrowser(link);
        }
    }
}
