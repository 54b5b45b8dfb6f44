package dev.satchel.session;

import java.io.IOException;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Enumeration;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** What this host is called, by itself and by others. */
final class HostNames {
    private static final Path HOSTNAME = Path.of("/proc/sys/kernel/hostname");
    private static final Path DOMAIN = Path.of("/proc/sys/kernel/domainname");

    private HostNames() {}

    /** Names and addresses that its own certificate is for, loopback's first. */
    static List<String> all() throws IOException {
        Set<String> names = new LinkedHashSet<>(List.of("localhost", "127.0.0.1", "::1"));
        names.addAll(own());
        names.addAll(addresses());
        return List.copyOf(names);
    }

    /**
     * The names by which browsers may call a server that listens there, besides the address that they come to: the first is the one in links.
     */
    static List<String> forLinks(ListenAddress wanted, InetSocketAddress bind) throws IOException {
        if (!bind.getAddress().isAnyLocalAddress()) {
            return isAddress(wanted.host()) ? List.of() : List.of(wanted.host());
        }
        List<String> names = new ArrayList<>();
        for (String address : addresses()) {
            names.add(address.indexOf(':') >= 0 ? "[" + address + "]" : address);
        }
        names.addAll(own());
        return names.isEmpty() ? List.of("localhost") : names;
    }

    /** @return whether it is an address and not a name */
    private static boolean isAddress(String text) {
        if (text.indexOf(':') >= 0) {
            return true;
        }
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c != '.' && (c < '0' || c > '9')) {
                return false;
            }
        }
        return true;
    }

    private static List<String> own() throws IOException {
        List<String> names = new ArrayList<>();
        String name = Files.readString(HOSTNAME).strip();
        if (isName(name)) {
            String domain = Files.readString(DOMAIN).strip();
            if (isName(domain)) {
                names.add(name + "." + domain);
            }
            names.add(name);
        }
        return names;
    }

    /** As a certificate can have it, RFC 1123 §2.1; what the kernel has by itself is {@code (none)}. */
    private static boolean isName(String text) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            boolean letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            if (!letter && (c < '0' || c > '9') && c != '-' && c != '.') {
                return false;
            }
        }
        return !text.isEmpty();
    }

    /** Of its interfaces that are up, IPv4 first, without those that mean something on one link only. */
    private static List<String> addresses() throws IOException {
        List<String> found = new ArrayList<>();
        int ipv4 = 0;
        Enumeration<NetworkInterface> interfaces = NetworkInterface.getNetworkInterfaces();
        while (interfaces.hasMoreElements()) {
            NetworkInterface one = interfaces.nextElement();
            // Those towards sessions are nobody else's.
            if (!one.isUp() || one.isLoopback() || one.getName().startsWith("satchel-")) {
                continue;
            }
            Enumeration<InetAddress> addresses = one.getInetAddresses();
            while (addresses.hasMoreElements()) {
                InetAddress address = addresses.nextElement();
                if (address.isLinkLocalAddress()) {
                    continue;
                }
                // Without the interface's name behind it.
                String text = InetAddress.getByAddress(address.getAddress()).getHostAddress();
                found.add(address instanceof Inet4Address ? ipv4++ : found.size(), text);
            }
        }
        return found;
    }
}
