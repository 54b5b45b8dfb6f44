package dev.satchel.cli;

import java.io.IOException;
import java.util.List;
import picocli.AutoComplete;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code completion}. */
final class CompletionCommand extends Command {
    /** Stands for the sessions that there are when Tab is pressed. */
    static final List<String> SESSIONS = List.of("sessions-of-the-vault");

    /**
     * What lists them. It never asks for a passphrase: an empty one opens nothing, so that names are offered only where the vault
     * was unlocked.
     */
    private static final String LIST = """
            function _satchel_sessions() {
              SATCHEL_PASSPHRASE_FILE=/dev/null timeout 3 "${COMP_WORDS[0]}" ls --json 2>/dev/null </dev/null |
                sed -n 's/^{"session":"\\([^"]*\\)".*/\\1/p'
            }

            """;

    private final PositionalParamSpec shell = argument(0, "SHELL", "'bash' or 'zsh'.");

    CompletionCommand() {
        super("completion", "Print what makes a shell complete satchel's commands and options");
        examples(
                "source <(satchel completion bash)                # in ~/.bashrc",
                "satchel completion bash > /etc/bash_completion.d/satchel",
                "source <(satchel completion zsh)                 # in ~/.zshrc");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        switch (text(shell)) {
            case "bash", "zsh" -> invocation.write(script(invocation)); // one for both
            default -> throw new UsageException("no completion for '" + text(shell) + "': it is made for bash and zsh");
        }
        return 0;
    }

    private static String script(Invocation invocation) {
        String script = AutoComplete.bash("satchel", invocation.tree());
        int firstFunction = script.indexOf("function ");
        return script.substring(0, firstFunction)
                + LIST
                + script.substring(firstFunction)
                        .replace("(\"" + SESSIONS.getFirst() + "\")", "($(_satchel_sessions))");
    }
}
