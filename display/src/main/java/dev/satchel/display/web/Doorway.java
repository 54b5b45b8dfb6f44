package dev.satchel.display.web;

import java.util.List;
import java.util.Optional;

/**
 * Where a server was found, and whom it let in: a later server of the same session that is given it is found there again, so that pages go on
 * by themselves and links stay good. As secret as the links.
 *
 * @param port that it listened at
 * @param tokens secrets of its links and cookies
 */
public record Doorway(int port, List<String> tokens) {
    public Doorway {
        tokens = List.copyOf(tokens);
    }

    /** One line. */
    public String toText() {
        return port + " " + String.join(" ", tokens);
    }

    /** @return empty if it is not what {@link #toText} made */
    public static Optional<Doorway> of(String text) {
        String[] words = text.split(" ", -1);
        if (words.length != 1 + Access.TOKENS || words[0].length() > 5) {
            return Optional.empty();
        }
        int port = 0;
        for (int i = 0; i < words[0].length(); i++) {
            int digit = words[0].charAt(i) - '0';
            if (digit < 0 || digit > 9) {
                return Optional.empty();
            }
            port = port * 10 + digit;
        }
        return Optional.of(new Doorway(port, List.of(words).subList(1, words.length)));
    }
}
