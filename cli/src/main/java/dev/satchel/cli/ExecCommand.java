package dev.satchel.cli;

import dev.satchel.linux.Processes;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Stack;
import picocli.CommandLine.IParameterConsumer;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/**
 * {@code exec}. The program that enters the session replaces this one, so that signals, the terminal and the exit code are its own, and
 * no JVM waits beside it.
 */
final class ExecCommand extends Command {
    private final PositionalParamSpec name = session("NAME", "The session; it runs here.");
    private final PositionalParamSpec command = rest();
    private final OptionSpec user =
            option("USER", "As this user of the session, a name or number; else as root.", "-u", "--user");
    private final OptionSpec terminal = flag("Give it a terminal of its own, for shells and editors.", "-t", "--tty");
    private final OptionSpec directory = option("DIR", "In this directory of the session.", "-w", "--workdir");
    private final OptionSpec environment =
            add(Environment.option("An environment variable for it; without =VALUE, the value that it has here."));

    ExecCommand() {
        super("exec", "Run a command inside a running session");
        flag("Accepted for who types -it: standard input is handed through anyway.", "-i", "--interactive");
        describe(
                "Begins in the user's home directory, or in --workdir. Its input, output and exit code are the command's: 128 + n"
                        + " if signal n ended it. Options of satchel's own come before the command; what follows it is its own.");
        examples(
                "satchel exec work -- ps aux",
                "satchel exec -it -u user work bash",
                "tar c docs | satchel exec work -u user -w /home/user -- tar x");
    }

    private PositionalParamSpec rest() {
        PositionalParamSpec rest = PositionalParamSpec.builder()
                .index("1..*")
                .type(List.class)
                .auxiliaryTypes(String.class)
                .arity("1..*")
                .required(true)
                .paramLabel("COMMAND")
                .description("The command and its arguments; best after --.")
                .parameterConsumer(new AllThatFollows())
                .build();
        spec().addPositional(rest);
        return rest;
    }

    /** Takes the command's own options with it: {@code exec work ls -l} needs no {@code --}. */
    private static final class AllThatFollows implements IParameterConsumer {
        @Override
        @SuppressWarnings("JdkObsolete") // the parser's own Stack
        public void consumeParameters(Stack<String> words, ArgSpec argument, CommandSpec command) {
            List<String> all = new ArrayList<>();
            while (!words.isEmpty()) {
                String word = words.pop();
                if (!all.isEmpty() || !word.equals("--")) {
                    all.add(word);
                }
            }
            argument.setValue(all);
        }
    }

    @Override
    int run(Invocation invocation) throws IOException {
        List<String> inside = new ArrayList<>();
        Optional<List<String>> variables = optional(environment);
        Optional<String> workDirectory = optional(directory);
        if (variables.isPresent() || workDirectory.isPresent()) {
            // env(1) of coreutils, which every image has, sets both inside.
            inside.add("env");
            if (workDirectory.isPresent()) {
                inside.add("--chdir=" + workDirectory.get());
            }
            if (variables.isPresent()) {
                for (Map.Entry<String, String> variable :
                        Environment.parse(variables.get(), invocation).entrySet()) {
                    inside.add(variable.getKey() + "=" + variable.getValue());
                }
            }
        }
        inside.addAll(command.<List<String>>getValue());
        List<String> line = invocation.satchel().execCommand(text(name), optional(user), given(terminal), inside);
        invocation.close();
        Processes.replace(line);
        throw new AssertionError("replaced");
    }
}
