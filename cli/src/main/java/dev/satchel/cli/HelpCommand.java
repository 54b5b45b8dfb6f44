package dev.satchel.cli;

import java.io.IOException;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code help}. */
final class HelpCommand extends Command {
    private final PositionalParamSpec path;

    HelpCommand() {
        super("help", "Say how satchel or one of its commands is used");
        path = PositionalParamSpec.builder()
                .index("0..*")
                .type(List.class)
                .auxiliaryTypes(String.class)
                .arity("0..*")
                .paramLabel("COMMAND")
                .description("The command.")
                .build();
        spec().addPositional(path);
        examples("satchel help vault init");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        Optional<List<String>> names = optional(path);
        invocation.write(HelpText.of(invocation.tree(), names.orElse(List.of())));
        return 0;
    }
}
