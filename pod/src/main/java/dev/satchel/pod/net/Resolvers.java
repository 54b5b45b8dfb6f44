package dev.satchel.pod.net;

import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The name servers of a resolv.conf(5), as it is now: it changes when the host joins another network. Safe for several threads. */
final class Resolvers {
    /** MAXNS of resolv.conf(5). */
    private static final int SERVERS_MAX = 3;

    private static final String KEYWORD = "nameserver";

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
            InetAddress server = server(line);
            if (server != null && servers.size() < SERVERS_MAX) {
                servers.add(server);
            }
        }
        return servers.isEmpty() ? List.of(InetAddress.getLoopbackAddress()) : List.copyOf(servers);
    }

    private static @Nullable InetAddress server(String line) {
        int start = KEYWORD.length();
        if (!line.startsWith(KEYWORD) || line.length() == start || !Character.isWhitespace(line.charAt(start))) {
            return null;
        }
        while (start < line.length() && Character.isWhitespace(line.charAt(start))) {
            start++;
        }
        int end = start;
        while (end < line.length() && !Character.isWhitespace(line.charAt(end))) {
            end++;
        }
        try {
            return InetAddress.ofLiteral(line.substring(start, end));
        } catch (IllegalArgumentException e) {
            // As the C library does: a line that means nothing does not spoil the others.
            return null;
        }
    }
}
