package dev.satchel.session;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;

/**
 * Where to listen: {@code HOST}, {@code HOST:PORT}, {@code [IPV6]:PORT}; {@code 0.0.0.0} and {@code ::} are all of this host's addresses.
 *
 * @param host an address or a name that is one of this host's, without brackets
 * @param port 0: any that is free
 */
public record ListenAddress(String host, int port) {
    private static final int PORT_MAX = 65_535;

    /** @throws IllegalArgumentException if it is none, with a message for who typed it */
    public static ListenAddress parse(String text) {
        String host = text;
        String port = "0";
        int colon = text.lastIndexOf(':');
        if (text.startsWith("[")) {
            int end = text.indexOf(']');
            String rest = end < 0 ? "?" : text.substring(end + 1);
            if (!rest.isEmpty() && !rest.startsWith(":")) {
                throw none(text);
            }
            host = text.substring(1, end);
            port = rest.isEmpty() ? port : rest.substring(1);
        } else if (colon >= 0 && text.indexOf(':') == colon) {
            host = text.substring(0, colon);
            port = text.substring(colon + 1);
        }
        if (host.isEmpty() || host.indexOf('\t') >= 0 || port.isEmpty() || port.length() > 5) {
            throw none(text);
        }
        int number = 0;
        for (int i = 0; i < port.length(); i++) {
            char c = port.charAt(i);
            if (c < '0' || c > '9') {
                throw none(text);
            }
            number = 10 * number + c - '0';
        }
        if (number > PORT_MAX) {
            throw none(text);
        }
        return new ListenAddress(host, number);
    }

    private static IllegalArgumentException none(String text) {
        return new IllegalArgumentException("'" + text
                + "' is no address to listen at: write 192.0.2.7, 192.0.2.7:8443, [2001:db8::7]:8443, a name of this"
                + " host, or 0.0.0.0 for all of its addresses");
    }

    /** @throws IOException if the name means nothing */
    InetSocketAddress resolved() throws IOException {
        try {
            return new InetSocketAddress(InetAddress.getByName(host), port);
        } catch (UnknownHostException e) {
            throw new IOException("'" + host + "' is no name that this host knows an address for", e);
        }
    }

    @Override
    public String toString() {
        String shown = host.indexOf(':') >= 0 ? "[" + host + "]" : host;
        return port == 0 ? shown : shown + ":" + port;
    }
}
