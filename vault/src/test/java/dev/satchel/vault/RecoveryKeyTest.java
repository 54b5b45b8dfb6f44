package dev.satchel.vault;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.zxing.common.reedsolomon.GenericGF;
import com.google.zxing.common.reedsolomon.ReedSolomonEncoder;
import java.io.IOException;
import java.io.InputStream;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

class RecoveryKeyTest {
    private static final RecoveryWords LIST = load();

    private static RecoveryWords load() {
        try {
            return RecoveryWords.load();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static RecoveryKey.Reading read(String typed) throws IOException {
        return RecoveryKey.read(typed.getBytes(US_ASCII));
    }

    /** The twelve symbols that it is, in hex; fails if it is none. */
    private static String secret(String typed) throws IOException {
        RecoveryKey.Reading reading = read(typed);
        assertThat(reading).as(typed).isInstanceOf(RecoveryKey.Whole.class);
        try (RecoveryKey key = ((RecoveryKey.Whole) reading).key()) {
            return HexFormat.of().formatHex(Bytes.copy(key.secret().segment()));
        }
    }

    private static String mistake(List<String> words) throws IOException {
        RecoveryKey.Reading reading = read(String.join(" ", words));
        assertThat(reading).as("%s", words).isInstanceOf(RecoveryKey.Mistaken.class);
        return ((RecoveryKey.Mistaken) reading).mistake();
    }

    private static List<String> fresh() throws IOException {
        try (RecoveryKey key = RecoveryKey.random()) {
            String words = key.words();
            assertThat(secret(words))
                    .isEqualTo(HexFormat.of().formatHex(Bytes.copy(key.secret().segment())));
            return new ArrayList<>(List.of(words.split(" ", -1)));
        }
    }

    @Test
    void theListIsThatOfBip39() throws Exception {
        try (InputStream in =
                RecoveryWords.class.getResourceAsStream("/org/bitcoinj/crypto/mnemonic/wordlist/english.txt")) {
            assertThat(HexFormat.of()
                            .formatHex(MessageDigest.getInstance("SHA-256").digest(in.readAllBytes())))
                    .isEqualTo("2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda");
        }
        assertThat(LIST.word(0)).isEqualTo("abandon");
        assertThat(LIST.word(2047)).isEqualTo("zoo");
        for (int i = 0; i < 2048; i++) {
            byte[] word = LIST.word(i).getBytes(US_ASCII);
            for (int length = Math.min(4, word.length); length <= word.length; length++) {
                if (length >= 4 || length == word.length) {
                    assertThat(LIST.find(word, 0, length)).as(LIST.word(i)).isEqualTo(i);
                }
            }
            if (word.length > 3) {
                int shorter = LIST.find(word, 0, 3);
                assertThat(shorter == -1 || LIST.word(shorter).length() == 3).isTrue();
            }
        }
    }

    @Test
    void keysDiffer() throws IOException {
        Set<String> keys = new HashSet<>();
        for (int i = 0; i < 50; i++) {
            keys.add(String.join(" ", fresh()));
        }
        assertThat(keys).hasSize(50);
    }

    /** Another's implementation of the same code, which knows nothing of this one. */
    @Test
    void theLastWordsAreThoseOfReedAndSolomon() {
        ReedSolomonEncoder encoder = new ReedSolomonEncoder(new GenericGF(0x805, 2048, 0));
        Random random = new Random(5);
        for (int round = 0; round < 200; round++) {
            int[] ours = new int[RecoveryKey.WORDS];
            for (int i = 0; i < 12; i++) {
                ours[i] = random.nextInt(2048);
            }
            int[] theirs = ours.clone();
            RecoveryKey.encode(ours);
            encoder.encode(theirs, 3);
            assertThat(ours).isEqualTo(theirs);
        }
    }

    @Test
    void isReadHoweverItIsWritten() throws IOException {
        List<String> words = fresh();
        String secret = secret(String.join(" ", words));
        StringBuilder numbered = new StringBuilder();
        StringBuilder shortened = new StringBuilder();
        for (int i = 0; i < words.size(); i++) {
            numbered.append(i + 1).append(". ").append(words.get(i)).append(i % 5 == 4 ? ",\t" : "   ");
            shortened
                    .append(words.get(i), 0, Math.min(4, words.get(i).length()))
                    .append('-');
        }
        assertThat(secret(numbered.toString())).isEqualTo(secret);
        assertThat(secret(shortened.toString())).isEqualTo(secret);
        assertThat(secret("  " + String.join("  ", words).toUpperCase(Locale.ROOT) + " "))
                .isEqualTo(secret);
    }

    @Test
    void aWrongWordIsFoundWhicheverItIs() throws IOException {
        Random random = new Random(7);
        for (int i = 0; i < RecoveryKey.WORDS; i++) {
            List<String> words = fresh();
            String other = LIST.word(random.nextInt(2048));
            if (other.equals(words.set(i, other))) {
                continue;
            }
            assertThat(mistake(words)).startsWith("word " + (i + 1) + ", '" + other + "', is not the one");
            words.set(i, "zzyzx");
            assertThat(mistake(words)).isEqualTo("word " + (i + 1) + ", 'zzyzx', is none of the list");
        }
    }

    @Test
    void twoWrongWordsAreNeverTakenForOneNorForNone() throws IOException {
        Random random = new Random(11);
        List<String> right = fresh();
        for (int round = 0; round < 2000; round++) {
            List<String> words = new ArrayList<>(right);
            int first = random.nextInt(RecoveryKey.WORDS);
            int second = (first + 1 + random.nextInt(RecoveryKey.WORDS - 1)) % RecoveryKey.WORDS;
            for (int i : new int[] {first, second}) {
                words.set(
                        i,
                        LIST.word((LIST.find(
                                                words.get(i).getBytes(US_ASCII),
                                                0,
                                                words.get(i).length())
                                        + 1
                                        + random.nextInt(2047))
                                % 2048));
            }
            assertThat(mistake(words)).isEqualTo("two of its words or more are not those that were written down");
        }
    }

    @Test
    void wordsInTheWrongOrderAndInTheWrongNumberAreFound() throws IOException {
        List<String> words = fresh();
        while (words.get(3).equals(words.get(4))) {
            words = fresh();
        }
        Collections.swap(words, 3, 4);
        assertThat(mistake(words)).isEqualTo("words 4 and 5 have changed places");
        assertThat(mistake(words.subList(0, 14))).isEqualTo("it has 15 words, and these are 14");
    }

    @Test
    void otherThingsAreLeftToPassphrases() throws IOException {
        for (String other : List.of(
                "",
                "correct horse battery staple",
                "abandon ability able about above absent",
                "it was a dark and stormy night; the rain fell in torrents except at intervals",
                "abandon ability able about above absent absorb abstract absurd abuse access accident account accuse!",
                "ä".repeat(40))) {
            assertThat(RecoveryKey.read(other.getBytes(java.nio.charset.StandardCharsets.UTF_8)))
                    .as(other)
                    .isInstanceOf(RecoveryKey.Other.class);
        }
        byte[] long_ = new byte[1 << 20];
        Arrays.fill(long_, (byte) 'a');
        assertThat(RecoveryKey.read(long_)).isInstanceOf(RecoveryKey.Other.class);
    }
}
