package dev.satchel.vault;

import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import dev.satchel.linux.crypto.SecretBytes;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A key to keep on paper: 132 random bits as twelve words of 2048, and three more that find mistakes. The words are symbols of GF(2¹¹), of
 * a shortened Reed-Solomon code of distance 4: one wrong word is always found, and which it is; two are never taken for one, nor three for
 * none. docs/FORMAT.md has the field and the order.
 */
public final class RecoveryKey implements AutoCloseable {
    /** How many words it is written as. */
    public static final int WORDS = 15;

    private static final int CHECKS = 3;
    private static final int DATA = WORDS - CHECKS;
    private static final int BITS = 11;
    /** x¹¹ + x² + 1, which is primitive. */
    private static final int POLYNOMIAL = 1 << 11 | 1 << 2 | 1;

    /** From so many words on, most of them in the list, something typed is meant as a recovery key. */
    private static final int WORDS_LIKELY_MIN = 10;

    private static final int WORDS_LIKELY_MAX = 20;

    private static final java.lang.foreign.ValueLayout.OfShort SYMBOL =
            JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

    private final SecretBytes symbols;

    private RecoveryKey(SecretBytes symbols) {
        this.symbols = symbols;
    }

    /** What somebody typed, as far as recovery keys go. */
    sealed interface Reading {}

    /** It is one; the reader closes it. */
    record Whole(RecoveryKey key) implements Reading {}

    /**
     * It is meant as one, and is not right.
     *
     * @param mistake says which word, in the middle of a sentence
     */
    record Mistaken(String mistake) implements Reading {}

    /** It is something else. */
    record Other() implements Reading {}

    /** A new one. */
    public static RecoveryKey random() {
        SecretBytes symbols = SecretBytes.random(2 * DATA);
        for (int i = 0; i < DATA; i++) {
            MemorySegment all = symbols.segment();
            all.set(SYMBOL, 2L * i, (short) (all.get(SYMBOL, 2L * i) & (1 << BITS) - 1));
        }
        return new RecoveryKey(symbols);
    }

    /** The words, one space between two: to be shown once, and not kept. */
    public String words() throws IOException {
        RecoveryWords list = RecoveryWords.load();
        int[] code = new int[WORDS];
        for (int i = 0; i < DATA; i++) {
            code[i] = symbols.segment().get(SYMBOL, 2L * i);
        }
        encode(code);
        StringBuilder words = new StringBuilder(10 * WORDS);
        for (int symbol : code) {
            words.append(words.isEmpty() ? "" : " ").append(list.word(symbol));
        }
        Arrays.fill(code, 0);
        return words.toString();
    }

    /** The twelve symbols, two bytes each, big-endian. */
    SecretBytes secret() {
        return symbols;
    }

    @Override
    public void close() {
        symbols.close();
    }

    /**
     * Reads what somebody typed: upper or lower case, anything but letters between words (so that they may be numbered), words whole or their first
     * four letters or more.
     */
    static Reading read(byte[] typed) throws IOException {
        int count = 0;
        boolean within = false;
        for (byte b : typed) {
            boolean letter = RecoveryWords.isLetter(b);
            if (!letter && (b < 0 || " \t\r\n.,;:-0123456789".indexOf(b) < 0)) {
                return new Other();
            }
            if (letter && !within) {
                count++;
            }
            within = letter;
        }
        if (count < WORDS_LIKELY_MIN || count > WORDS_LIKELY_MAX) {
            return new Other();
        }
        RecoveryWords list = RecoveryWords.load();
        int[] symbols = new int[count];
        int[] starts = new int[count];
        int[] ends = new int[count];
        int known = 0;
        int at = 0;
        for (int i = 0; i < count; i++) {
            while (!RecoveryWords.isLetter(typed[at])) {
                at++;
            }
            starts[i] = at;
            while (at < typed.length && RecoveryWords.isLetter(typed[at])) {
                at++;
            }
            ends[i] = at;
            symbols[i] = list.find(typed, starts[i], at);
            known += symbols[i] < 0 ? 0 : 1;
        }
        try {
            if (known * 4 < count * 3) {
                return new Other();
            }
            if (count != WORDS) {
                return new Mistaken("it has " + WORDS + " words, and these are " + count);
            }
            String mistake = mistake(symbols, typed, starts, ends);
            return mistake == null ? new Whole(of(symbols)) : new Mistaken(mistake);
        } finally {
            Arrays.fill(symbols, 0);
        }
    }

    private static RecoveryKey of(int[] code) {
        SecretBytes symbols = SecretBytes.allocate(2 * DATA);
        for (int i = 0; i < DATA; i++) {
            symbols.segment().set(SYMBOL, 2L * i, (short) code[i]);
        }
        return new RecoveryKey(symbols);
    }

    private static @Nullable String mistake(int[] code, byte[] typed, int[] starts, int[] ends) {
        StringBuilder unknown = new StringBuilder();
        for (int i = 0; i < WORDS; i++) {
            if (code[i] < 0) {
                unknown.append(unknown.isEmpty() ? "" : ", ")
                        .append("word ")
                        .append(i + 1)
                        .append(", '")
                        .append(new String(
                                typed, starts[i], ends[i] - starts[i], java.nio.charset.StandardCharsets.US_ASCII))
                        .append('\'');
            }
        }
        if (!unknown.isEmpty()) {
            return unknown + ", is none of the list";
        }
        int[] syndromes = syndromes(code);
        if (isZero(syndromes)) {
            return null;
        }
        for (int i = 0; i < WORDS; i++) {
            // One error of value S0 at x^(14-i) has S1 = S0 · a^(14-i), S2 = S0 · a^(2(14-i)).
            int place = power(WORDS - 1 - i);
            if (syndromes[0] != 0
                    && multiply(syndromes[0], place) == syndromes[1]
                    && multiply(syndromes[1], place) == syndromes[2]) {
                return "word " + (i + 1) + ", '"
                        + new String(typed, starts[i], ends[i] - starts[i], java.nio.charset.StandardCharsets.US_ASCII)
                        + "', is not the one that was written down";
            }
        }
        for (int i = 0; i + 1 < WORDS; i++) {
            swap(code, i);
            boolean right = isZero(syndromes(code));
            swap(code, i);
            if (right) {
                return "words " + (i + 1) + " and " + (i + 2) + " have changed places";
            }
        }
        return "two of its words or more are not those that were written down";
    }

    private static void swap(int[] code, int i) {
        int first = code[i];
        code[i] = code[i + 1];
        code[i + 1] = first;
    }

    // ---- the code: its words are the polynomials (the first symbol is x^14's) of which 1, a and a² are roots; a = x

    /** Puts the last three symbols behind the first twelve: what x³ · the twelve leaves when divided by (x − 1)(x − a)(x − a²). */
    static void encode(int[] code) {
        // The divisor: x³ + g2 x² + g1 x + g0.
        int a = 2;
        int a2 = 4;
        int g2 = 1 ^ a ^ a2;
        int g1 = a ^ a2 ^ multiply(a, a2);
        int g0 = multiply(a, a2);
        int r2 = 0;
        int r1 = 0;
        int r0 = 0;
        for (int i = 0; i < DATA; i++) {
            int lead = code[i] ^ r2;
            r2 = r1 ^ multiply(lead, g2);
            r1 = r0 ^ multiply(lead, g1);
            r0 = multiply(lead, g0);
        }
        code[DATA] = r2;
        code[DATA + 1] = r1;
        code[DATA + 2] = r0;
    }

    private static int[] syndromes(int[] code) {
        int[] syndromes = new int[CHECKS];
        for (int j = 0; j < CHECKS; j++) {
            int root = power(j);
            for (int symbol : code) {
                syndromes[j] = multiply(syndromes[j], root) ^ symbol;
            }
        }
        return syndromes;
    }

    private static boolean isZero(int[] syndromes) {
        return (syndromes[0] | syndromes[1] | syndromes[2]) == 0;
    }

    private static int power(int exponent) {
        int result = 1;
        for (int i = 0; i < exponent; i++) {
            result = multiply(result, 2);
        }
        return result;
    }

    private static int multiply(int a, int b) {
        int product = 0;
        for (int i = BITS - 1; i >= 0; i--) {
            product <<= 1;
            if ((product & 1 << BITS) != 0) {
                product ^= POLYNOMIAL;
            }
            if ((b & 1 << i) != 0) {
                product ^= a;
            }
        }
        return product;
    }
}
