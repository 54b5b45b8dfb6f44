package dev.satchel.display.web;

import dev.satchel.linux.crypto.Secrets;
import dev.satchel.linux.crypto.SecureRandom;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.EnumMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Who may do what: the secrets of a session's links, the cookies that they are exchanged for, and who has guessed wrongly. Thread-safe. */
final class Access {
    enum Right {
        LOOK,
        CONTROL
    }

    /** A secret and a cookie for each right. */
    static final int TOKENS = 2 * Right.values().length;

    private static final int SECRET_BYTES = 32;

    private final Map<Right, String> secrets = new EnumMap<>(Right.class);
    private final Map<Right, String> cookies = new EnumMap<>(Right.class);
    private final String cookieName;
    private final boolean secure;

    private final WrongGuesses wrong = new WrongGuesses();

    /** @param tokens of an earlier server at this port, or none */
    Access(int port, boolean secure, List<String> tokens) {
        this.cookieName = "satchel-" + port;
        this.secure = secure;
        Iterator<String> earlier = tokens.iterator();
        for (Right right : Right.values()) {
            secrets.put(right, earlier.hasNext() ? earlier.next() : random());
            cookies.put(right, earlier.hasNext() ? earlier.next() : random());
        }
    }

    /** All that lets somebody in. */
    List<String> tokens() {
        List<String> tokens = new ArrayList<>();
        for (Right right : Right.values()) {
            tokens.add(Objects.requireNonNull(secrets.get(right)));
            tokens.add(Objects.requireNonNull(cookies.get(right)));
        }
        return tokens;
    }

    private static String random() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(SECRET_BYTES);
            SecureRandom.fill(bytes);
            return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes.toArray(ValueLayout.JAVA_BYTE));
        }
    }

    String secret(Right right) {
        return Objects.requireNonNull(secrets.get(right));
    }

    /** The value of the header that gives somebody with the secret the cookie. */
    String setCookie(Right right) {
        return cookieName + "=" + cookies.get(right) + "; Path=/; HttpOnly; SameSite=Strict"
                + (secure ? "; Secure" : "");
    }

    @Nullable
    Right bySecret(String offered) {
        return find(secrets, offered);
    }

    /** @param header of the request, as it came */
    @Nullable
    Right byCookie(String header) {
        Right best = null;
        int at = 0;
        while (at < header.length()) {
            int semicolon = header.indexOf(';', at);
            int end = semicolon < 0 ? header.length() : semicolon;
            int equals = header.indexOf('=', at);
            if (equals > 0
                    && equals < end
                    && header.substring(at, equals).strip().equals(cookieName)) {
                Right found = find(cookies, header.substring(equals + 1, end).strip());
                if (found != null && (best == null || found.compareTo(best) > 0)) {
                    best = found;
                }
            }
            at = end + 1;
        }
        return best;
    }

    /** Whether this server's cookie is there, whatever it says. */
    boolean hasCookie(String header) {
        return header.contains(cookieName + "=");
    }

    /** Compares with both whatever the first says, in a time that tells nothing of what is right about it. */
    private static @Nullable Right find(Map<Right, String> known, String offered) {
        byte[] bytes = offered.getBytes(StandardCharsets.UTF_8);
        Right found = null;
        for (Map.Entry<Right, String> entry : known.entrySet()) {
            if (Secrets.areEqual(entry.getValue().getBytes(StandardCharsets.UTF_8), bytes)) {
                found = entry.getKey();
            }
        }
        return found;
    }

    /** Counts a wrong guess. @return whether the address has made too many in this minute */
    boolean wrongFrom(InetAddress address) {
        return wrong.count(address);
    }
}
