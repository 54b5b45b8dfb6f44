package dev.satchel.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import picocli.CommandLine.ScopeType;

/** What help and manual say of a command, read from its definition. */
record Definition(CommandSpec spec) {
    static Definition of(CommandLine command) {
        return new Definition(command.getCommandSpec());
    }

    /** {@code satchel vault init}. */
    String name() {
        return spec.qualifiedName();
    }

    String summary() {
        return String.join(" ", spec.usageMessage().header());
    }

    String[] paragraphs() {
        return spec.usageMessage().description();
    }

    String[] examples() {
        return spec.usageMessage().footer();
    }

    /** Exit codes with their meanings; of the root only. */
    Map<String, String> exitCodes() {
        return spec.usageMessage().exitCodeList();
    }

    List<PositionalParamSpec> arguments() {
        return spec.positionalParameters();
    }

    /** Its own, without those that every command has. */
    List<OptionSpec> options() {
        return options(false);
    }

    /** Those that every command has. */
    List<OptionSpec> globalOptions() {
        return options(true);
    }

    private List<OptionSpec> options(boolean global) {
        List<OptionSpec> options = new ArrayList<>();
        for (OptionSpec option : spec.options()) {
            if ((option.inherited() || option.scopeType() == ScopeType.INHERIT) == global) {
                options.add(option);
            }
        }
        return options;
    }

    /** The commands below it that are for people. */
    List<Definition> commands() {
        List<Definition> commands = new ArrayList<>();
        for (CommandLine command : spec.subcommands().values()) {
            Definition definition = of(command);
            if (!definition.spec.usageMessage().hidden()) {
                commands.add(definition);
            }
        }
        return commands;
    }

    /** {@code satchel create NAME --image IMAGE [OPTIONS]}. */
    String synopsis() {
        StringBuilder line = new StringBuilder(name());
        if (!commands().isEmpty()) {
            return line.append(" COMMAND").toString();
        }
        boolean moreOptions = false;
        StringBuilder required = new StringBuilder();
        for (OptionSpec option : options()) {
            if (option.required()) {
                required.append(' ').append(option.longestName()).append(' ').append(option.paramLabel());
            } else {
                moreOptions = true;
            }
        }
        line.append(moreOptions ? " [OPTIONS]" : "").append(required);
        for (PositionalParamSpec argument : arguments()) {
            String label = argument.paramLabel() + (argument.index().max() == Integer.MAX_VALUE ? "..." : "");
            line.append(' ').append(argument.required() ? label : "[" + label + "]");
        }
        return line.toString();
    }

    /** {@code -e, --env NAME[=VALUE]}. */
    static String label(OptionSpec option) {
        StringBuilder label = new StringBuilder();
        for (String name : option.names()) {
            label.append(label.isEmpty() ? "" : ", ").append(name);
        }
        if (option.arity().max() > 0) {
            label.append(' ').append(option.paramLabel());
        }
        return label.toString();
    }
}
