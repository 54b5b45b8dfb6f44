package dev.satchel.cli;

import java.util.ArrayList;
import java.util.List;

/** Text in columns under headings. A heading that begins with {@code >} has its column flush right. */
final class Table {
    private static final int GAP = 3;

    private final String[] headings;
    private final boolean[] right;
    private final int[] widths;
    private final List<String[]> rows = new ArrayList<>();

    Table(String... headings) {
        this.headings = headings.clone();
        right = new boolean[headings.length];
        widths = new int[headings.length];
        for (int i = 0; i < headings.length; i++) {
            right[i] = headings[i].startsWith(">");
            this.headings[i] = right[i] ? headings[i].substring(1) : headings[i];
            widths[i] = this.headings[i].length();
        }
    }

    void add(String... cells) {
        if (cells.length != headings.length) {
            throw new IllegalArgumentException(cells.length + " cells for " + headings.length + " columns");
        }
        for (int i = 0; i < cells.length; i++) {
            widths[i] = Math.max(widths[i], cells[i].length());
        }
        rows.add(cells);
    }

    void appendTo(StringBuilder text) {
        append(text, headings);
        for (String[] row : rows) {
            append(text, row);
        }
    }

    private void append(StringBuilder text, String[] cells) {
        int blanks = 0;
        for (int i = 0; i < cells.length; i++) {
            int padding = widths[i] - cells[i].length();
            if (right[i]) {
                blanks += padding;
            }
            if (!cells[i].isEmpty()) { // blanks are due only before something, so that no line ends in them
                text.repeat(' ', blanks).append(cells[i]);
                blanks = 0;
            }
            blanks += GAP + (right[i] ? 0 : padding);
        }
        text.append('\n');
    }
}
