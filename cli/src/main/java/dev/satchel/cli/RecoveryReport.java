package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.satchel.session.VaultKeys;
import java.io.IOException;
import java.util.Locale;

/**
 * A recovery key, the only time that it is shown: its words, and for people also a QR code of them.
 *
 * @param colour whether the terminal is to be told black and white, so that the code is right whatever its own colours are
 */
record RecoveryReport(VaultKeys.Recovery recovery, boolean colour) implements Report {
    private static final int COLUMNS = 5;

    @Override
    public void fields(JsonGenerator json) throws IOException {
        KeyRow.fields(recovery.key(), json);
        json.writeStringField("recovery_words", recovery.words());
    }

    /** What is in the code: upper case takes less room in it. */
    static String coded(String words) {
        return words.toUpperCase(Locale.ROOT);
    }

    @Override
    public void text(StringBuilder text) {
        text.append("recovery key ")
                .append(KeyRow.called(recovery.key()))
                .append(" added. These words open the vault. They are shown now and never again:\n");
        String[] words = recovery.words().split(" ", -1);
        for (int i = 0; i < words.length; i++) {
            text.append(i % COLUMNS == 0 ? "\n  " : "")
                    .append(i < 9 ? " " : "")
                    .append(i + 1)
                    .append(' ')
                    .append(words[i])
                    .repeat(' ', 10 - words[i].length());
        }
        text.append("\n\n");
        QrCode.of(coded(recovery.words())).appendTo(text, colour);
        text.append(
                "\nWrite them down, or scan the code with what you trust, and keep them where the vault is not. They are"
                        + " typed\nwhere the passphrase is asked for.\n");
    }
}
