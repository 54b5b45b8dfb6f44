package dev.satchel.vault;

import java.net.URI;
import java.net.URISyntaxException;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The link that {@code vault serve} prints, by which a server of chunks is reached: {@code http://HOST:PORT/?k=SECRET} or
 * {@code https://HOST:PORT/?k=SECRET&cert=SHA256}.
 *
 * @param tls whether by TLS
 * @param host a name or address, an IPv6 address without brackets
 * @param secret what the server lets in by
 * @param certificate SHA-256 of the one certificate that the server must show, 64 lower-case hex digits; empty: one that this host trusts
 *     for that name
 */
record ServerLink(boolean tls, String host, int port, String secret, Optional<String> certificate) {
    /** @throws IllegalArgumentException if it is none, with a message for who typed it, without the secret */
    static ServerLink parse(String text) {
        URI uri;
        try {
            uri = new URI(text);
        } catch (URISyntaxException e) {
            throw none(e);
        }
        String scheme = uri.getScheme() == null ? "" : uri.getScheme().toLowerCase(Locale.ROOT);
        String host = uri.getHost();
        String query = uri.getRawQuery();
        boolean tls = scheme.equals("https");
        if ((!tls && !scheme.equals("http")) || host == null || query == null || uri.getRawUserInfo() != null) {
            throw none(null);
        }
        String secret = "";
        Optional<String> certificate = Optional.empty();
        for (String field : query.split("&", -1)) {
            if (field.startsWith("k=")) {
                secret = field.substring(2);
            } else if (field.startsWith("cert=")) {
                certificate = Optional.of(field.substring(5).toLowerCase(Locale.ROOT));
            }
        }
        if (secret.isEmpty() || !isPlain(secret) || (certificate.isPresent() && !isHash(certificate.get()))) {
            throw none(null);
        }
        int port = uri.getPort() >= 0 ? uri.getPort() : tls ? 443 : 80;
        if (port == 0 || port > 65_535) {
            throw none(null);
        }
        String bare = host.startsWith("[") ? host.substring(1, host.length() - 1) : host;
        return new ServerLink(tls, bare, port, secret, certificate);
    }

    private static IllegalArgumentException none(@Nullable Throwable cause) {
        return new IllegalArgumentException(
                "that is no link of a server of chunks: give the whole line that 'satchel vault serve' printed", cause);
    }

    /** As it can stand in a header. */
    private static boolean isPlain(String text) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            boolean letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
            if (!letter && c != '-' && c != '_') {
                return false;
            }
        }
        return text.length() <= 256;
    }

    private static boolean isHash(String text) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if ((c < '0' || c > '9') && (c < 'a' || c > 'f')) {
                return false;
            }
        }
        return text.length() == 64;
    }

    /** {@code HOST:PORT}. */
    String authority() {
        return (host.indexOf(':') >= 0 ? "[" + host + "]" : host) + ":" + port;
    }

    /** Without the secret. */
    String location() {
        return (tls ? "https://" : "http://") + authority();
    }

    @Override
    public String toString() {
        return location();
    }
}
