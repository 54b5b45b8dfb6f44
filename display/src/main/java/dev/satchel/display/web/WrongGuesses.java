package dev.satchel.display.web;

import java.net.Inet6Address;
import java.net.InetAddress;
import java.util.Arrays;
import java.util.LinkedHashMap;

/** Who has guessed a secret wrongly, and how often in a minute; of so many addresses at most. Thread-safe. */
public final class WrongGuesses {
    private static final int PER_MINUTE_MAX = 10;
    private static final long MINUTE_NANOS = 60_000_000_000L;
    private static final int ADDRESSES_MAX = 256;

    /** By address, the one whose minute began first in front. Also the lock for what is in it. */
    private final LinkedHashMap<String, Wrong> wrong = new LinkedHashMap<>();

    private static final class Wrong {
        final long since = System.nanoTime();
        int count;
    }

    /** Counts a wrong guess. @return whether the address has made too many in this minute, this one included */
    public boolean count(InetAddress address) {
        String key = network(address);
        synchronized (wrong) {
            forgetOld(key);
            Wrong so = wrong.get(key);
            if (so == null) {
                if (wrong.size() >= ADDRESSES_MAX) {
                    wrong.remove(wrong.keySet().iterator().next());
                }
                so = new Wrong();
                wrong.put(key, so);
            }
            so.count = Math.min(so.count + 1, PER_MINUTE_MAX + 1);
            return so.count > PER_MINUTE_MAX;
        }
    }

    /** Whether the address has made so many in this minute that another would be too many. */
    public boolean exhausted(InetAddress address) {
        String key = network(address);
        synchronized (wrong) {
            forgetOld(key);
            Wrong so = wrong.get(key);
            return so != null && so.count >= PER_MINUTE_MAX;
        }
    }

    private void forgetOld(String key) {
        Wrong so = wrong.get(key);
        if (so != null && System.nanoTime() - so.since > MINUTE_NANOS) {
            wrong.remove(key);
        }
    }

    /** Of IPv6 the first 64 bits: one machine has all the rest. */
    static String network(InetAddress address) {
        byte[] bytes = address.getAddress();
        return Arrays.toString(address instanceof Inet6Address ? Arrays.copyOf(bytes, 8) : bytes);
    }
}
