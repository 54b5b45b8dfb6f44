package dev.satchel.cli;

import java.io.IOException;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/**
 * One command: its definition, of which the parser, the help, the shell completion and the manual page are made, and what it does.
 *
 * <p>Definitions are built by calls, not read from annotations, and only when they are needed ({@link Commands}): reflecting on
 * some thirty annotated classes costs a cold JVM more than all the rest of its start.
 */
abstract class Command {
    private final CommandSpec spec;

    /** {@code summary} is a line without an end mark, for lists of commands. */
    Command(String name, String summary) {
        spec = CommandSpec.wrapWithoutInspection(this).name(name);
        spec.usageMessage().header(summary);
    }

    /** Does it, after the arguments were parsed. */
    abstract int run(Invocation invocation) throws IOException;

    final CommandSpec spec() {
        return spec;
    }

    /** Whether it is left out of help, completion and manual, being of use to the program itself only. */
    final Command hidden() {
        spec.usageMessage().hidden(true);
        return this;
    }

    /** Paragraphs that say more than the summary. */
    final void describe(String... paragraphs) {
        spec.usageMessage().description(paragraphs);
    }

    /** Command lines to start from, each with what it does after {@code #}. */
    final void examples(String... lines) {
        spec.usageMessage().footer(lines);
    }

    /** An option without a value. */
    final OptionSpec flag(String description, String... names) {
        return add(OptionSpec.builder(names)
                .type(boolean.class)
                .arity("0")
                .description(description)
                .build());
    }

    /** An option with a value that is text. */
    final OptionSpec option(String label, String description, String... names) {
        return add(OptionSpec.builder(names)
                .type(String.class)
                .arity("1")
                .paramLabel(label)
                .description(description)
                .build());
    }

    /** An option with a value that is converted. */
    final <T> OptionSpec option(
            Class<T> type, ITypeConverter<T> converter, String label, String description, String... names) {
        return add(OptionSpec.builder(names)
                .type(type)
                .converters(converter)
                .arity("1")
                .paramLabel(label)
                .description(description)
                .build());
    }

    /** An option without which the command makes no sense. */
    final OptionSpec requiredOption(String label, String description, String... names) {
        return add(OptionSpec.builder(names)
                .type(String.class)
                .arity("1")
                .required(true)
                .paramLabel(label)
                .description(description)
                .build());
    }

    /** The argument at that place, from 0; all must be given. */
    final PositionalParamSpec argument(int index, String label, String description) {
        return add(required(index, label, description));
    }

    /** One that is converted. */
    final <T> PositionalParamSpec argument(
            int index, Class<T> type, ITypeConverter<T> converter, String label, String description) {
        return add(required(index, label, description).type(type).converters(converter));
    }

    /** All arguments from that place on, one at least: a list of text. */
    final PositionalParamSpec some(int index, String label, String description) {
        return add(required(index, label, description)
                .index(index + "..*")
                .type(List.class)
                .auxiliaryTypes(String.class)
                .arity("1..*"));
    }

    /** An argument that may be left out. */
    final PositionalParamSpec argumentIfAny(int index, String label, String description) {
        return add(required(index, label, description).arity("0..1").required(false));
    }

    /** All arguments from that place on, if there are any: a list of text. */
    final PositionalParamSpec anyNumber(int index, String label, String description) {
        return add(required(index, label, description)
                .index(index + "..*")
                .type(List.class)
                .auxiliaryTypes(String.class)
                .arity("0..*")
                .required(false));
    }

    /** The first argument, which names a session that there is: shells complete it, see {@link CompletionCommand}. */
    final PositionalParamSpec session(String label, String description) {
        return add(required(0, label, description).completionCandidates(CompletionCommand.SESSIONS));
    }

    private static PositionalParamSpec.Builder required(int index, String label, String description) {
        return PositionalParamSpec.builder()
                .index(Integer.toString(index))
                .type(String.class)
                .arity("1")
                .required(true)
                .paramLabel(label)
                .description(description);
    }

    private PositionalParamSpec add(PositionalParamSpec.Builder builder) {
        PositionalParamSpec argument = builder.build();
        spec.addPositional(argument);
        return argument;
    }

    final OptionSpec add(OptionSpec option) {
        spec.addOption(option);
        return option;
    }

    /** The value of an argument that is required. */
    static String text(ArgSpec argument) {
        return argument.<String>getValue();
    }

    static boolean given(ArgSpec flag) {
        Boolean value = flag.getValue();
        return Boolean.TRUE.equals(value);
    }

    static <T> Optional<T> optional(ArgSpec argument) {
        return Optional.ofNullable(argument.<T>getValue());
    }
}
