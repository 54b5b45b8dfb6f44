package dev.satchel.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import picocli.CommandLine;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** The help of a command, from its definition; no line wider than {@value #COLUMNS}. */
final class HelpText {
    static final int COLUMNS = 96;
    private static final int LABEL_COLUMNS_MAX = 30;

    private final StringBuilder text = new StringBuilder();

    private HelpText() {}

    /** Help of the command that these names lead to from the root of that tree. */
    static String of(CommandLine tree, List<String> names) {
        CommandLine command = tree;
        for (String name : names) {
            CommandLine below = command.getSubcommands().get(name);
            if (below == null) {
                String all = command.getCommandSpec().qualifiedName();
                throw new UsageException("no command '" + name + "' in '" + all + "': see '" + all + " --help'");
            }
            command = below;
        }
        return new HelpText().write(Definition.of(command));
    }

    private String write(Definition definition) {
        wrap("Usage: " + definition.synopsis(), 0, 14);
        text.append('\n');
        wrap(definition.summary() + ".", 0, 0);
        for (String paragraph : definition.paragraphs()) {
            text.append('\n');
            wrap(paragraph, 0, 0);
        }
        List<String[]> entries = new ArrayList<>();
        for (Definition command : definition.commands()) {
            entries.add(new String[] {command.spec().name(), command.summary()});
        }
        section("Commands", entries);
        for (PositionalParamSpec argument : definition.arguments()) {
            entries.add(new String[] {argument.paramLabel(), String.join(" ", argument.description())});
        }
        section("Arguments", entries);
        options("Options", definition.options(), entries);
        options("Options of every command, before its name or after", definition.globalOptions(), entries);
        for (Map.Entry<String, String> code : definition.exitCodes().entrySet()) {
            entries.add(new String[] {code.getKey(), code.getValue()});
        }
        section("Exit codes", entries);
        String[] examples = definition.examples();
        if (examples.length > 0) {
            text.append("\nExamples:\n");
            for (String example : examples) {
                text.append("  ").append(example).append('\n');
            }
        }
        if (!definition.commands().isEmpty()) {
            text.append("\nMore on each command: ").append(definition.name()).append(" COMMAND --help\n");
        }
        return text.toString();
    }

    private void options(String heading, List<OptionSpec> options, List<String[]> entries) {
        for (OptionSpec option : options) {
            entries.add(new String[] {Definition.label(option), String.join(" ", option.description())});
        }
        section(heading, entries);
    }

    /** Writes labels and what is said of them beside each other, and empties the list. */
    private void section(String heading, List<String[]> entries) {
        if (entries.isEmpty()) {
            return;
        }
        text.append('\n').append(heading).append(":\n");
        int width = 0;
        for (String[] entry : entries) {
            if (entry[0].length() <= LABEL_COLUMNS_MAX) {
                width = Math.max(width, entry[0].length());
            }
        }
        int column = 2 + width + 3;
        for (String[] entry : entries) {
            text.append("  ").append(entry[0]);
            int used = 2 + entry[0].length();
            if (used + 2 > column) {
                text.append('\n');
                used = 0;
            }
            text.repeat(' ', column - used);
            wrap(entry[1], column, column);
        }
        entries.clear();
    }

    /** Writes words in lines; the first begins at a column where the text already is, the others are indented. */
    private void wrap(String words, int firstColumn, int indent) {
        int column = firstColumn;
        boolean begins = true;
        for (String word : words.split(" ", -1)) {
            if (!begins && column + 1 + word.length() > COLUMNS) {
                text.append('\n').repeat(' ', indent);
                column = indent;
                begins = true;
            }
            if (!begins) {
                text.append(' ');
                column++;
            }
            text.append(word);
            column += word.length();
            begins = false;
        }
        text.append('\n');
    }
}
