package dev.satchel.cli;

import java.io.IOException;
import picocli.AutoComplete;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code completion}. */
final class CompletionCommand extends Command {
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
            case "bash", "zsh" -> invocation.write(AutoComplete.bash("satchel", invocation.tree())); // one for both
            default -> throw new UsageException("no completion for '" + text(shell) + "': it is made for bash and zsh");
        }
        return 0;
    }
}
