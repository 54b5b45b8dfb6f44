package dev.satchel.pod.net;

import java.io.IOException;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;

/** The name servers of a resolv.conf(5), as it is now: it changes when the host joins another network. Safe for several threads. */
final class Resolvers {
    /** MAXNS of resolv.conf(5). */
    private static final int SERVERS_MAX = 3;

    private static final long RECHECK_NANOS = 500_000_000L;

    private final Path file;
    private List<InetAddress> servers = List.of();
    private String version = "";
    private long checkedNanos;
    private boolean checked;

    Resolvers(Path file) {
        this.file = file;
    }

    /** At most three, in the order of preference. A file that lacks or names none means this host, resolv.conf(5). */
    synchronized List<InetAddress> servers() {
        long now = System.nanoTime();
        if (!checked || now - checkedNanos > RECHECK_NANOS) {
            try {
                BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class);
                String found = attributes.fileKey() + " " + attributes.size() + " " + attributes.lastModifiedTime();
                if (!found.equals(version)) {
                    servers = parse(Files.readAllLines(file));
                    version = found;
                }
            } catch (IOException e) {
                // It is being replaced: those of before will do. If there never was one, its absence has a meaning.
                if (servers.isEmpty()) {
                    servers = parse(List.of());
                }
            }
            checked = true;
            checkedNanos = now;
        }
        return servers;
    }

    static List<InetAddress> parse(List<String> lines) {
        List<InetAddress> servers = new ArrayList<>();
        for (String line : lines) {
            if (!line.startsWith("nameserver") || servers.size() == SERVERS_MAX) {
                continue;
            }
            String rest = line.substring("nameserver".length());
            String address = rest.strip();
            int end = 0;
            while (end < address.length() && !Character.isWhitespace(address.charAt(end))) {
                end++;
            }
            address = address.substring(0, end);
            if (rest.isEmpty() || !Character.isWhitespace(rest.charAt(0)) || address.isEmpty()) {
                continue;
            }
            try {
                servers.add(
                        address.indexOf(':') >= 0 ? Inet6Address.ofLiteral(address) : InetAddress.ofLiteral(address));
            } catch (IllegalArgumentException e) {
                // As the C library does: a line that means nothing does not spoil the others.
                continue;
            }
        }
        return servers.isEmpty() ? List.of(InetAddress.getLoopbackAddress()) : List.copyOf(servers);
    }
}
