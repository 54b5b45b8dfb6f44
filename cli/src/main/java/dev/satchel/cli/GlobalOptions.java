package dev.satchel.cli;

import dev.satchel.session.ChunkPlaces;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.TypeConversionException;

/** The options that every command has, before its name or after, and the environment variables that stand in for them. */
final class GlobalOptions {
    static final String VAULT = "SATCHEL_VAULT";
    static final String STATE = "SATCHEL_STATE";
    static final String PASSPHRASE_FILE = "SATCHEL_PASSPHRASE_FILE";
    /** Several are divided by {@link #DIVIDER}. */
    static final String LOOKASIDE = "SATCHEL_LOOKASIDE";

    static final String CACHE_SIZE = "SATCHEL_CACHE_SIZE";
    private static final String DIVIDER = ";";
    static final String KEY = "SATCHEL_KEY";
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
            .description(
                    "Take the passphrase, or a recovery key's words, from this file's first line, - for standard input (or "
                            + PASSPHRASE_FILE
                            + "). Else it is asked for on the terminal, unless 'vault unlock' left the key.")
            .scopeType(ScopeType.INHERIT)
            .build();
    private final OptionSpec lookaside = OptionSpec.builder("--lookaside")
            .type(List.class)
            .auxiliaryTypes(String.class)
            .arity("1")
            .paramLabel("PATH|URL")
            .description(
                    "Read chunks also from here: another directory that holds a copy of the vault, or any vault with the"
                            + " same images, or a link that 'satchel vault serve' printed. What comes from there is checked. May"
                            + " be given several times, the nearest first (or " + LOOKASIDE + ", divided by ';').")
            .scopeType(ScopeType.INHERIT)
            .build();
    private final OptionSpec cacheSize = OptionSpec.builder("--cache-size")
            .type(String.class)
            .arity("1")
            .paramLabel("SIZE")
            .description(
                    "How much of this host's disk keeps chunks, encrypted, that came from afar, 4M at least; 0 for none (or "
                            + CACHE_SIZE
                            + "). If left out, a session whose vault is on the network or on USB is resumed"
                            + " through a cache of a tenth of the free space, 8G at most.")
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
                .addOption(lookaside)
                .addOption(cacheSize)
                .addOption(json)
                .addOption(verbose)
                .addOption(help);
    }

    /** Whether this word is one of them and the next word its value. */
    boolean takesValue(String word) {
        return switch (word) {
            case "--vault", "--state", "--passphrase-file", "--lookaside", "--cache-size" -> true;
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

    /** Where chunks are read from besides the vault. */
    ChunkPlaces places() {
        List<String> lookasides = lookasides();
        String size = valueOrVariable(cacheSize, CACHE_SIZE);
        if (lookasides.isEmpty() && size == null) {
            return ChunkPlaces.NONE;
        }
        try {
            return new ChunkPlaces(
                    lookasides,
                    size == null
                            ? OptionalLong.empty()
                            : OptionalLong.of(size.equals("0") ? 0 : Quantities.parseBytes(size)));
        } catch (IllegalArgumentException | TypeConversionException e) {
            throw new UsageException(
                    (lookasides.isEmpty() ? "--cache-size" : "--lookaside, --cache-size") + ": " + e.getMessage());
        }
    }

    private List<String> lookasides() {
        List<String> given = lookaside.getValue();
        if (given != null) {
            return given;
        }
        String variable = environment.get(LOOKASIDE);
        List<String> lookasides = new ArrayList<>();
        if (variable != null) {
            for (String one : variable.split(DIVIDER, -1)) {
                if (!one.isBlank()) {
                    lookasides.add(one.strip());
                }
            }
        }
        return lookasides;
    }

    /** The same for a process elsewhere, as variables. */
    Map<String, String> placesVariables() {
        Map<String, String> variables = new HashMap<>();
        StringBuilder all = new StringBuilder();
        for (String one : lookasides()) {
            boolean path = !one.startsWith("http://") && !one.startsWith("https://");
            all.append(all.isEmpty() ? "" : DIVIDER)
                    .append(path ? Path.of(one).toAbsolutePath().toString() : one);
        }
        if (!all.isEmpty()) {
            variables.put(LOOKASIDE, all.toString());
        }
        String size = valueOrVariable(cacheSize, CACHE_SIZE);
        if (size != null) {
            variables.put(CACHE_SIZE, size);
        }
        return variables;
    }

    /** Which of the vault's keys the passphrase is. */
    Optional<String> key() {
        String value = environment.get(KEY);
        return value == null || value.isEmpty() ? Optional.empty() : Optional.of(value);
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
