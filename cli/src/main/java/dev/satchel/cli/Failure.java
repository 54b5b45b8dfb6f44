package dev.satchel.cli;

import dev.satchel.session.SatchelException;
import dev.satchel.vault.AwayException;
import dev.satchel.vault.DamagedException;
import dev.satchel.vault.ForgedException;
import dev.satchel.vault.InUseException;
import dev.satchel.vault.LogInUseException;
import dev.satchel.vault.NoSuchException;
import dev.satchel.vault.VaultException;
import dev.satchel.vault.WrongPassphraseException;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine;
import picocli.CommandLine.MissingParameterException;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/**
 * What an exception comes to for whoever typed the command.
 *
 * @param exitCode as docs promise: 1 failed, 2 wrong usage, 3 no such thing, 4 not authentic, 5 host lacks something, 6 in use
 * @param message one line, {@code <what happened>: <what to do>}
 */
record Failure(int exitCode, String message) {
    static final int FAILED = 1;
    static final int USAGE = 2;
    static final int NOT_FOUND = 3;
    static final int NOT_AUTHENTIC = 4;
    static final int HOST_LACKS = 5;
    static final int IN_USE = 6;

    private static final String SEE_VERBOSE = ": run it again with -v to see where it happened";

    Failure {
        message = oneLine(message);
    }

    static Failure of(Throwable thrown) {
        return switch (thrown) {
            case UsageException e -> new Failure(USAGE, said(e));
            case ParameterException e -> new Failure(USAGE, usage(e));
            case SatchelException e -> new Failure(e.kind().exitCode(), said(e));
            case NoSuchException e -> new Failure(NOT_FOUND, said(e));
            case AwayException e -> new Failure(NOT_FOUND, said(e));
            case WrongPassphraseException e -> new Failure(NOT_AUTHENTIC, said(e));
            case DamagedException e -> new Failure(NOT_AUTHENTIC, said(e));
            case ForgedException e -> new Failure(NOT_AUTHENTIC, said(e));
            case InUseException e -> new Failure(IN_USE, naming(e.holder().hostName(), said(e)));
            case LogInUseException e -> new Failure(IN_USE, said(e));
            case VaultException e -> new Failure(FAILED, said(e));
            case NoSuchFileException e -> new Failure(FAILED, "no such file or directory: check " + e.getFile());
            case AccessDeniedException e -> new Failure(FAILED, "not permitted: check who may use " + e.getFile());
            case FileAlreadyExistsException e -> new Failure(FAILED, e.getFile() + " exists: choose another name");
            case FileSystemException e ->
                new Failure(
                        FAILED, e.getFile() + ": " + (e.getReason() == null ? said(e) : e.getReason()) + SEE_VERBOSE);
            case IOException e -> new Failure(FAILED, said(e) + SEE_VERBOSE);
            default ->
                new Failure(
                        FAILED, "internal error, " + thrown + ": please report it, with what the command says with -v");
        };
    }

    private static String said(Throwable thrown) {
        String message = thrown.getMessage();
        return message == null || message.isBlank() ? thrown.getClass().getSimpleName() : message;
    }

    private static String naming(String host, String message) {
        return message.contains(host) ? message : "in use on " + host + ": " + message;
    }

    private static String usage(ParameterException e) {
        CommandLine command = e.getCommandLine();
        String see = "see '" + command.getCommandSpec().qualifiedName() + " --help'";
        if (e instanceof UnmatchedArgumentException unmatched) {
            String word = unmatched.getUnmatched().getFirst();
            List<String> near = unmatched.getSuggestions();
            String what = unmatched.isUnknownOption()
                    ? "unknown option '" + word + "'"
                    : command.getSubcommands().isEmpty()
                            ? "one argument too many, '" + word + "'"
                            : "no command '" + word + "'";
            return what + ": " + (near.isEmpty() ? see : "did you mean '" + String.join("' or '", near) + "'?");
        }
        String message = said(e);
        if (e instanceof MissingParameterException) {
            message = message.replace(": ", " ");
        }
        return message.substring(0, 1).toLowerCase(Locale.ROOT) + message.substring(1) + ": " + see;
    }

    private static String oneLine(String message) {
        StringBuilder line = new StringBuilder(message.length());
        for (int i = 0; i < message.length(); i++) {
            char c = message.charAt(i);
            if (Character.isISOControl(c)) {
                // A break in the line, or something that would steer the terminal: what others named goes through here,
                // too.
                if (!line.isEmpty() && line.charAt(line.length() - 1) != ' ') {
                    line.append(' ');
                }
            } else {
                line.append(c);
            }
        }
        return line.toString().strip();
    }
}
