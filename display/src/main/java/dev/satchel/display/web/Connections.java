package dev.satchel.display.web;

import java.net.InetAddress;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A server's open connections, of so many at most: whoever can connect must not be able to keep others out by just that. Not thread-safe.
 */
public final class Connections<C extends Connections.Open> implements Iterable<C> {
    /** How much a connection would be missed, least first. */
    public enum Standing {
        /** It has shown nothing yet that lets it in. */
        STRANGER,
        /** It was let in, and waits for its next request. */
        IDLE,
        /** It was let in, and is served. */
        SERVED
    }

    /** One of them. */
    public interface Open {
        InetAddress peer();

        Standing standing();

        /** Closes it at once. */
        void abort();
    }

    private final int countMax;
    /** The oldest first. */
    private final Set<C> open = new LinkedHashSet<>();

    public Connections(int countMax) {
        this.countMax = countMax;
    }

    /**
     * Makes room for it, if need be: of those that have shown nothing, the oldest from the network that has most of them goes; if there is none, of
     * those that wait.
     *
     * @return false if all others are served
     */
    public boolean add(C connection) {
        if (open.size() >= countMax) {
            C missedLeast = ofLargestCrowd(Standing.STRANGER);
            if (missedLeast == null) {
                missedLeast = ofLargestCrowd(Standing.IDLE);
            }
            if (missedLeast == null) {
                return false;
            }
            missedLeast.abort();
            open.remove(missedLeast);
        }
        return open.add(connection);
    }

    private @Nullable C ofLargestCrowd(Standing standing) {
        Map<String, Integer> counts = new HashMap<>();
        for (C connection : open) {
            if (connection.standing() == standing) {
                counts.merge(WrongGuesses.network(connection.peer()), 1, Integer::sum);
            }
        }
        C found = null;
        int most = 0;
        for (C connection : open) {
            int count = counts.getOrDefault(WrongGuesses.network(connection.peer()), 0);
            if (count > most && connection.standing() == standing) {
                found = connection;
                most = count;
            }
        }
        return found;
    }

    public void remove(C connection) {
        open.remove(connection);
    }

    public boolean isEmpty() {
        return open.isEmpty();
    }

    @Override
    public Iterator<C> iterator() {
        return open.iterator();
    }
}
