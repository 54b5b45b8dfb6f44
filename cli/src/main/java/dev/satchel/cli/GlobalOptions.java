package dev.satchel.cli;

import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ScopeType;

/** The options that every command has, before its name or after, and the environment variables that stand in for them. */
final class GlobalOptions {
    static final String VAULT = "SATCHEL_VAULT";
    static final String STATE = "SATCHEL_STATE";
    static final String PASSPHRASE_FILE = "SATCHEL_PASSPHRASE_FILE";
    static final String STATE_DEFAULT = "/var/lib/satchel";

    private final Map<String, String> environment;
    private final OptionSpec vault = OptionSpec.builder("--vault")
            .type(String.class)
            .arity("1")
            .paramLabel("PATH")
            .description("The vault, a directory (or " + VAULT + ").")
            .scopeType(ScopeType.INHERIT)
            .build();
    private final OptionSpec state = OptionSpec.builder("--state")
            .type(String.class)
            .arity("1")
            .paramLabel("DIR")
            .description("This host's state (or " + STATE + "; else " + STATE_DEFAULT
                    + "). Two state directories on one" + " machine act as two hosts.")
            .scopeType(ScopeType.INHERIT)
            .build();
    private final OptionSpec passphraseFile = OptionSpec.builder("--passphrase-file")
            .type(String.class)
            .arity("1")
            .paramLabel("FILE")
            .description("Take the passphrase from this file's first line, - for standard input (or " + PASSPHRASE_FILE
                    + "). Else it is asked for on the terminal, unless 'vault unlock' left the key.")
            .scopeType(ScopeType.INHERIT)
            .build();
    private final OptionSpec json = OptionSpec.builder("--json")
            .type(boolean.class)
            .arity("0")
            .description("Print one JSON object, or one a line for lists, and nothing else.")
            .scopeType(ScopeType.INHERIT)
            .build();
    private final OptionSpec verbose = OptionSpec.builder("-v", "--verbose")
            .type(boolean.class)
            .arity("0")
            .description("More detail on standard error; of an error, where it came from.")
            .scopeType(ScopeType.INHERIT)
            .build();
    private final OptionSpec help = OptionSpec.builder("-h", "--help")
            .type(boolean.class)
            .arity("0")
            .usageHelp(true)
            .description("Say how this command is used.")
            .scopeType(ScopeType.INHERIT)
            .build();

    GlobalOptions(Map<String, String> environment) {
        this.environment = environment;
    }

    void addTo(CommandSpec root) {
        root.addOption(vault)
                .addOption(state)
                .addOption(passphraseFile)
                .addOption(json)
                .addOption(verbose)
                .addOption(help);
    }

    /** Whether this word is one of them and the next word its value. */
    boolean takesValue(String word) {
        return switch (word) {
            case "--vault", "--state", "--passphrase-file" -> true;
            default -> false;
        };
    }

    Path vault() {
        String value = valueOrVariable(vault, VAULT);
        if (value == null) {
            throw new UsageException("no vault named: give --vault PATH, or set " + VAULT);
        }
        if (value.contains("://")) {
            throw new UsageException("vault " + value + " is not a directory: object stores are not supported yet");
        }
        return Path.of(value);
    }

    Path state() {
        String value = valueOrVariable(state, STATE);
        return Path.of(value == null ? STATE_DEFAULT : value);
    }

    Optional<String> passphraseFile() {
        return Optional.ofNullable(valueOrVariable(passphraseFile, PASSPHRASE_FILE));
    }

    boolean json() {
        return Command.given(json);
    }

    boolean verbose() {
        return Command.given(verbose);
    }

    private @Nullable String valueOrVariable(OptionSpec option, String variable) {
        String value = option.getValue();
        if (value == null) {
            value = environment.get(variable);
        }
        return value == null || value.isEmpty() ? null : value;
    }
}
