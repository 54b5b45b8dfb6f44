package dev.satchel.cli;

import java.io.IOException;

/** {@code manual}. */
final class ManualCommand extends Command {
    ManualCommand() {
        super("manual", "Print the manual page as roff");
        examples("satchel manual | man -l -");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        invocation.write(ManualPage.of(invocation.tree()));
        return 0;
    }
}
