package dev.satchel.cli;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code logs}. */
final class LogsCommand extends Command {
    private final PositionalParamSpec name = session("NAME", "The session.");

    private final OptionSpec follow =
            flag("Go on with what is written from now on, until the session ends or Ctrl-C.", "-f", "--follow");

    LogsCommand() {
        super("logs", "Show what a session's init and desktop wrote");
        examples("satchel logs work | tail", "satchel logs -f work");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        if (!invocation.json()) {
            copy(invocation, invocation.output());
            return 0;
        }
        Lines lines = new Lines(invocation, text(name));
        copy(invocation, lines);
        lines.end();
        return 0;
    }

    private void copy(Invocation invocation, OutputStream out) throws IOException {
        if (given(follow)) {
            invocation.satchel().followLogs(text(name), out);
        } else {
            invocation.satchel().logs(text(name), out);
        }
    }

    /** Makes an object of each line. */
    private static final class Lines extends OutputStream {
        private final Invocation invocation;
        private final String session;
        private final ByteArrayOutputStream line = new ByteArrayOutputStream();

        Lines(Invocation invocation, String session) {
            this.invocation = invocation;
            this.session = session;
        }

        @Override
        public void write(int b) throws IOException {
            if (b == '\n') {
                print();
            } else {
                line.write(b);
            }
        }

        void end() throws IOException {
            if (line.size() > 0) {
                print();
            }
        }

        private void print() throws IOException {
            invocation.print(new SentenceReport("", "session", session, "line", line.toString(StandardCharsets.UTF_8)));
            line.reset();
        }
    }
}
