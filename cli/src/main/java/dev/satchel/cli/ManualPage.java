package dev.satchel.cli;

import java.util.List;
import java.util.Map;
import picocli.CommandLine;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** The manual page satchel(1), from the definitions of all commands, in the macros of groff_man(7). */
final class ManualPage {
    private final StringBuilder roff = new StringBuilder();

    private ManualPage() {}

    static String of(CommandLine tree) {
        return new ManualPage().write(Definition.of(tree));
    }

    private String write(Definition root) {
        roff.append(".TH SATCHEL 1 \"\" \"satchel ").append(Program.VERSION).append("\" \"User Commands\"\n");
        section("NAME");
        line(root.spec().name() + " - " + root.summary().replace(": ", ", "));
        section("SYNOPSIS");
        bold(root.synopsis());
        section("DESCRIPTION");
        paragraphs(root);
        section("COMMANDS");
        for (Definition command : root.commands()) {
            if (command.commands().isEmpty()) {
                command(command);
            } else {
                members(command);
            }
        }
        section("OPTIONS OF EVERY COMMAND");
        line("They come before the command's name or after it.");
        options(root.globalOptions());
        options(root.options());
        section("EXIT STATUS");
        for (Map.Entry<String, String> code : root.exitCodes().entrySet()) {
            tagged(code.getKey(), code.getValue());
        }
        roff.append(".PP\n");
        line("An error is one line on standard error that says what happened and what to do.");
        section("ENVIRONMENT");
        tagged(GlobalOptions.VAULT, "The vault, if --vault does not name it.");
        tagged(GlobalOptions.STATE, "This host's state directory, if --state does not name it.");
        tagged(GlobalOptions.PASSPHRASE_FILE, "The passphrase file, if --passphrase-file does not name it.");
        tagged(
                GlobalOptions.KEY,
                "Label or id of the vault's key that the passphrase is: no other is tried, so that several cost no time.");
        section("FILES");
        tagged(
                GlobalOptions.STATE_DEFAULT,
                "This host's state, unless told otherwise. Nothing of a session that does not run here.");
        section("EXAMPLES");
        examples(root);
        return roff.toString();
    }

    /** The commands of a group, and of the groups in it. */
    private void members(Definition group) {
        for (Definition member : group.commands()) {
            if (member.commands().isEmpty()) {
                command(member);
            } else {
                members(member);
            }
        }
    }

    private void command(Definition command) {
        roff.append(".SS ").append(argument(command.synopsis())).append('\n');
        line(command.summary() + ".");
        for (String paragraph : command.paragraphs()) {
            roff.append(".PP\n");
            line(paragraph);
        }
        for (PositionalParamSpec argument : command.arguments()) {
            tagged(argument.paramLabel(), String.join(" ", argument.description()));
        }
        options(command.options());
        if (command.examples().length > 0) {
            roff.append(".PP\n");
            examples(command);
        }
    }

    private void options(List<OptionSpec> options) {
        for (OptionSpec option : options) {
            tagged(Definition.label(option), String.join(" ", option.description()));
        }
    }

    private void paragraphs(Definition definition) {
        String between = "";
        for (String paragraph : definition.paragraphs()) {
            roff.append(between);
            line(paragraph);
            between = ".PP\n";
        }
    }

    private void examples(Definition definition) {
        roff.append(".EX\n");
        for (String example : definition.examples()) {
            line(example);
        }
        roff.append(".EE\n");
    }

    private void section(String heading) {
        roff.append(".SH ").append(argument(heading)).append('\n');
    }

    private void tagged(String tag, String words) {
        roff.append(".TP\n");
        bold(tag);
        line(words);
    }

    private void bold(String words) {
        roff.append(".B ").append(argument(words)).append('\n');
    }

    private void line(String words) {
        if (words.startsWith(".") || words.startsWith("'")) {
            roff.append("\\&"); // else it would be a request
        }
        escape(words);
        roff.append('\n');
    }

    private static String argument(String words) {
        ManualPage quoted = new ManualPage();
        quoted.roff.append('"');
        quoted.escape(words);
        return quoted.roff.append('"').toString();
    }

    /** Characters as they are typed in a shell, not as a typesetter would have them, groff_char(7). */
    private void escape(String words) {
        for (int i = 0; i < words.length(); i++) {
            char c = words.charAt(i);
            switch (c) {
                case '\\' -> roff.append("\\e");
                case '-' -> roff.append("\\-");
                case '\'' -> roff.append("\\(aq");
                case '"' -> roff.append("\\(dq");
                case '`' -> roff.append("\\(ga");
                case '^' -> roff.append("\\(ha");
                case '~' -> roff.append("\\(ti");
                default -> roff.append(c);
            }
        }
    }
}
