package dev.satchel.vault;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;

/**
 * The 2048 English words of BIP-39, of three to eight letters, in the order of the alphabet; no two begin with the same four letters. The
 * build takes the list out of bitcoinj.
 */
final class RecoveryWords {
    private static final String RESOURCE = "/org/bitcoinj/crypto/mnemonic/wordlist/english.txt";
    private static final int COUNT = 2048;
    private static final int PREFIX_MIN = 4;

    /** The list, a line a word, and where each begins; one more at the end. */
    private final byte[] text;

    private final int[] starts = new int[COUNT + 1];

    private RecoveryWords(byte[] text) throws IOException {
        this.text = text;
        int count = 0;
        for (int at = 0; at < text.length && count < COUNT; at++) {
            if (text[at] == '\n') {
                starts[++count] = at + 1;
            }
        }
        if (count != COUNT || starts[COUNT] != text.length) {
            throw new IOException("the list of words for recovery keys is not whole: build the program again");
        }
    }

    static RecoveryWords load() throws IOException {
        try (InputStream in = RecoveryWords.class.getResourceAsStream(RESOURCE)) {
            if (in == null) {
                throw new FileNotFoundException(
                        "the list of words for recovery keys is missing: build the program again");
            }
            return new RecoveryWords(in.readAllBytes());
        }
    }

    String word(int index) {
        return new String(text, starts[index], starts[index + 1] - 1 - starts[index], StandardCharsets.US_ASCII);
    }

    /** The word that is written there in ASCII letters, or begins with at least four that are; -1 if there is none. */
    int find(byte[] typed, int from, int to) {
        int low = 0;
        int high = COUNT - 1;
        while (low <= high) {
            int middle = (low + high) >>> 1;
            int order = compare(typed, from, to, middle);
            if (order == 0) {
                return middle;
            }
            if (order < 0) {
                high = middle - 1;
            } else {
                low = middle + 1;
            }
        }
        return -1;
    }

    /** 0 when the word at {@code index} is meant. */
    private int compare(byte[] typed, int from, int to, int index) {
        int start = starts[index];
        int length = starts[index + 1] - 1 - start;
        int count = Math.min(to - from, length);
        for (int i = 0; i < count; i++) {
            int order = (typed[from + i] | 0x20) - text[start + i];
            if (order != 0) {
                return order;
            }
        }
        if (to - from == length || (to - from < length && to - from >= PREFIX_MIN)) {
            return 0;
        }
        return to - from - length;
    }

    static boolean isLetter(byte b) {
        return (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z');
    }
}
