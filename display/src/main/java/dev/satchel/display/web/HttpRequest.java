package dev.satchel.display.web;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The head of a request (RFC 9112), read strictly: what could be understood in two ways is refused.
 *
 * @param path decoded, begins with a slash
 * @param query decoded; of a name that comes twice the last value
 * @param headers by name in lower case; values of the same name joined by commas
 * @param length of the body that follows
 */
record HttpRequest(
        String method,
        String path,
        Map<String, String> query,
        Map<String, String> headers,
        boolean keepAlive,
        long length) {
    private static final int HEADERS_MAX = 100;
    private static final Set<String> ONCE = Set.of(
            "host",
            "origin",
            "content-length",
            "transfer-encoding",
            "authorization",
            "upgrade",
            "sec-websocket-key",
            "sec-websocket-version");

    /** Why a request is not answered with what it asks for. */
    static final class Refused extends Exception {
        private static final long serialVersionUID = 1;
        final int status;
        final String reason;

        Refused(int status, String reason) {
            super(reason, null, false, false);
            this.status = status;
            this.reason = reason;
        }
    }

    /** @param head up to its empty line, each line with its CR LF */
    static HttpRequest parse(byte[] head) throws Refused {
        String text = new String(head, StandardCharsets.ISO_8859_1);
        int line = text.indexOf("\r\n");
        int first = text.indexOf(' ');
        int second = text.indexOf(' ', first + 1);
        if (first <= 0 || second <= first + 1 || second > line) {
            throw new Refused(400, "no request line");
        }
        String method = text.substring(0, first);
        String target = text.substring(first + 1, second);
        String version = text.substring(second + 1, line);
        if (!isToken(method)) {
            throw new Refused(400, "no method");
        }
        if (!version.equals("HTTP/1.1") && !version.equals("HTTP/1.0")) {
            throw new Refused(505, "HTTP/1.1 is spoken here");
        }
        if (!target.startsWith("/")) {
            throw new Refused(400, "no path");
        }
        for (int i = 0; i < target.length(); i++) {
            if (target.charAt(i) <= ' ' || target.charAt(i) >= 0x7f || target.charAt(i) == '#') {
                throw new Refused(400, "a path with what can't be in one");
            }
        }
        Map<String, String> headers = headers(text, line + 2);
        int question = target.indexOf('?');
        String path = decode(question < 0 ? target : target.substring(0, question), false);
        Map<String, String> query = question < 0 ? Map.of() : query(target.substring(question + 1));
        if (!headers.containsKey("host")) {
            throw new Refused(400, "no Host");
        }
        String connection = headers.getOrDefault("connection", "");
        boolean keepAlive = version.equals("HTTP/1.1") && !hasWord(connection, "close");
        return new HttpRequest(method, path, query, headers, keepAlive, length(headers));
    }

    private static Map<String, String> headers(String text, int start) throws Refused {
        Map<String, String> headers = new HashMap<>();
        int at = start;
        int count = 0;
        while (at < text.length()) {
            int end = text.indexOf("\r\n", at);
            int colon = text.indexOf(':', at);
            if (colon < 0 || colon > end || ++count > HEADERS_MAX) {
                throw new Refused(colon < 0 || colon > end ? 400 : 431, "a header without a name, or too many");
            }
            String name = text.substring(at, colon);
            String value = text.substring(colon + 1, end).strip();
            if (!isToken(name)) {
                throw new Refused(400, "a header's name with what can't be in one");
            }
            for (int i = 0; i < value.length(); i++) {
                char c = value.charAt(i);
                if ((c < ' ' && c != '\t') || c == 0x7f) {
                    throw new Refused(400, "a header with what can't be in one");
                }
            }
            String key = lowerCase(name);
            String before = headers.get(key);
            if (before != null) {
                if (ONCE.contains(key)) {
                    throw new Refused(400, "more than one " + key);
                }
                value = before + (key.equals("cookie") ? "; " : ", ") + value;
            }
            headers.put(key, value);
            at = end + 2;
        }
        return headers;
    }

    private static long length(Map<String, String> headers) throws Refused {
        if (headers.containsKey("transfer-encoding")) {
            throw new Refused(501, "a body's length must be told before it");
        }
        String text = headers.get("content-length");
        if (text == null) {
            return 0;
        }
        if (text.isEmpty() || text.length() > 18) {
            throw new Refused(400, "no length");
        }
        long length = 0;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c < '0' || c > '9') {
                throw new Refused(400, "no length");
            }
            length = length * 10 + (c - '0');
        }
        return length;
    }

    private static Map<String, String> query(String text) throws Refused {
        Map<String, String> query = new HashMap<>();
        int at = 0;
        while (at < text.length()) {
            int and = text.indexOf('&', at);
            int end = and < 0 ? text.length() : and;
            int equals = text.indexOf('=', at);
            if (equals < 0 || equals > end) {
                equals = end;
            }
            query.put(
                    decode(text.substring(at, equals), true),
                    equals == end ? "" : decode(text.substring(equals + 1, end), true));
            at = end + 1;
        }
        return query;
    }

    /** RFC 3986 §2.1; in queries a plus is a space. */
    private static String decode(String text, boolean plus) throws Refused {
        if (text.indexOf('%') < 0 && !(plus && text.indexOf('+') >= 0)) {
            return text;
        }
        byte[] bytes = new byte[text.length()];
        int count = 0;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '%') {
                int high = i + 2 < text.length() ? Character.digit(text.charAt(i + 1), 16) : -1;
                int low = i + 2 < text.length() ? Character.digit(text.charAt(i + 2), 16) : -1;
                if (high < 0 || low < 0) {
                    throw new Refused(400, "a percent sign before no number");
                }
                bytes[count++] = (byte) (high << 4 | low);
                i += 2;
            } else {
                bytes[count++] = (byte) (plus && c == '+' ? ' ' : c);
            }
        }
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .onMalformedInput(CodingErrorAction.REPORT)
                    .decode(ByteBuffer.wrap(bytes, 0, count))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new Refused(400, "what is not UTF-8");
        }
    }

    @Nullable
    String header(String name) {
        return headers.get(name);
    }

    /** Whether a list of words separated by commas has this one, however it is written. */
    static boolean hasWord(@Nullable String list, String word) {
        if (list == null) {
            return false;
        }
        int at = 0;
        while (at <= list.length()) {
            int comma = list.indexOf(',', at);
            int end = comma < 0 ? list.length() : comma;
            if (list.substring(at, end).strip().equalsIgnoreCase(word)) {
                return true;
            }
            at = end + 1;
        }
        return false;
    }

    /** RFC 9110 §5.6.2. */
    private static boolean isToken(String text) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            boolean letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
            if (!letter && "!#$%&'*+-.^_`|~".indexOf(c) < 0) {
                return false;
            }
        }
        return !text.isEmpty();
    }

    private static String lowerCase(String token) {
        char[] letters = token.toCharArray();
        for (int i = 0; i < letters.length; i++) {
            if (letters[i] >= 'A' && letters[i] <= 'Z') {
                letters[i] = (char) (letters[i] + 'a' - 'A');
            }
        }
        return new String(letters);
    }
}
