package dev.satchel.cli;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import picocli.CommandLine.Model.OptionSpec;

/** The option {@code -e}, as docker has it: {@code -e NAME=VALUE}, or {@code -e NAME} for the value that it has here. */
final class Environment {
    private Environment() {}

    static OptionSpec option(String description) {
        return OptionSpec.builder("-e", "--env")
                .type(List.class)
                .auxiliaryTypes(String.class)
                .arity("1")
                .paramLabel("NAME[=VALUE]")
                .description(description)
                .build();
    }

    /** In the order given; the last of a name counts, and names that are not set here are left out. */
    static Map<String, String> parse(List<String> given, Invocation invocation) {
        Map<String, String> variables = new LinkedHashMap<>();
        for (String text : given) {
            int equals = text.indexOf('=');
            String name = equals < 0 ? text : text.substring(0, equals);
            if (name.isEmpty()) {
                throw new UsageException("'" + text + "' names no variable: write -e NAME=VALUE");
            }
            String value = equals < 0 ? invocation.variable(name) : text.substring(equals + 1);
            if (value != null) {
                variables.put(name, value);
            }
        }
        return variables;
    }
}
