package dev.satchel.display.x11;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Presses keys by what they mean. Where the session's layout has the meaning, the key that has it is pressed, with the shift keys
 * changed around it if it needs others than are held; for what it has not, a keycode that means nothing is given that meaning. Repeating
 * held keys is left to who holds them: a link that stalls would make the server repeat for too long. Thread-safe.
 */
final class Keyboard {
    private static final int SHIFT_LEFT = 0xffe1;
    private static final int LEVEL3_SHIFT = 0xfe03;
    private static final int NUM_LOCK = 0xff7f;
    private static final int SHIFT_MASK = 1;
    private static final int LOCK_MASK = 2;
    private static final int KEY_PRESS = 2;
    private static final int KEY_RELEASE = 3;
    private static final int MODIFIERS = 8;
    private static final int SPARE_MAX = 48;
    private static final int AUTO_REPEAT = 1 << 7;

    private final X11Connection connection;
    private final int testOpcode;
    private final boolean repeated;

    // All guarded by this.
    private boolean outdated = true;
    private int[][] meanings = new int[256][];
    private int[] modifierOf = new int[256];
    private int level3Mask;
    private int numLockMask;
    private int level3Key;
    private int shiftKey;

    /** Keysym to the keycode that was pressed for it. */
    private final Map<Integer, Integer> held = new LinkedHashMap<>();
    /** Keysym to the keycode that was given this meaning, least lately used first. */
    private final Map<Integer, Integer> given = new LinkedHashMap<>(16, 0.75f, true);

    private final List<Integer> spare = new ArrayList<>();

    /** @param testOpcode of the XTEST extension */
    Keyboard(X11Connection connection, int testOpcode) throws IOException {
        this.connection = connection;
        this.testOpcode = testOpcode;
        // GetKeyboardControl.
        repeated = connection.ask(new Request(103, 0)).get(1) == 1;
        setRepeat(false);
    }

    private void setRepeat(boolean on) throws IOException {
        // ChangeKeyboardControl, auto-repeat-mode.
        connection.send(new Request(102, 0).u32(AUTO_REPEAT).u32(on ? 1 : 0));
    }

    /** The session's layout has changed, by a program or by this. */
    synchronized void layoutChanged() {
        outdated = true;
    }

    private void readLayout() throws IOException {
        outdated = false;
        int first = connection.keycodeMin();
        int count = connection.keycodeMax() - first + 1;
        ByteBuffer map = connection.ask(new Request(101, 0).u8(first).u8(count).u16(0));
        int columns = map.get(1) & 0xff;
        if (map.capacity() < 32 + 4 * columns * count) {
            throw new IOException("the X server sent too short a keyboard map");
        }
        meanings = new int[256][];
        Set<Integer> ours = new HashSet<>(given.values());
        List<Integer> free = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int[] row = new int[columns];
            boolean any = false;
            for (int column = 0; column < columns; column++) {
                row[column] = map.getInt(32 + 4 * (i * columns + column));
                any |= row[column] != 0;
            }
            meanings[first + i] = row;
            if (!any && !ours.contains(first + i)) {
                free.add(first + i);
            }
        }
        spare.clear();
        // From the far end: layouts fill up from the other.
        for (int i = free.size() - 1; i >= 0 && spare.size() < SPARE_MAX; i--) {
            spare.add(free.get(i));
        }
        readModifiers();
    }

    private void readModifiers() throws IOException {
        ByteBuffer map = connection.ask(new Request(119, 0));
        int each = map.get(1) & 0xff;
        if (map.capacity() < 32 + MODIFIERS * each) {
            throw new IOException("the X server sent too short a modifier map");
        }
        modifierOf = new int[256];
        level3Mask = 0;
        numLockMask = 0;
        for (int i = 0; i < MODIFIERS * each; i++) {
            int keycode = map.get(32 + i) & 0xff;
            if (keycode == 0) {
                continue;
            }
            int mask = 1 << (i / each);
            modifierOf[keycode] |= mask;
            for (int meaning : meaningsOf(keycode)) {
                level3Mask |= meaning == LEVEL3_SHIFT ? mask : 0;
                numLockMask |= meaning == NUM_LOCK ? mask : 0;
            }
        }
        level3Key = anyKey(LEVEL3_SHIFT);
        shiftKey = anyKey(SHIFT_LEFT);
    }

    private int[] meaningsOf(int keycode) {
        int[] row = meanings[keycode];
        return row == null ? new int[0] : row;
    }

    private int anyKey(int keysym) {
        for (int keycode = connection.keycodeMin(); keycode <= connection.keycodeMax(); keycode++) {
            for (int meaning : meaningsOf(keycode)) {
                if (meaning == keysym) {
                    return keycode;
                }
            }
        }
        return 0;
    }

    /** A key and the level of it, 0 to 3, that has a meaning: bit 0 with shift, bit 1 with AltGr. */
    private record Place(int keycode, int level) {}

    /**
     * What the server's core keyboard map has of a keysym: columns 0 and 1 are group 1's first levels, 2 and 3 group 2's, then come the
     * third and fourth levels of each (XKB protocol, "Group Index to Core Keyboard Mapping").
     */
    private @Nullable Place find(int keysym, int group, int levelNow) {
        int base = group == 0 ? 0 : 2;
        Place found = null;
        for (int keycode = connection.keycodeMin(); keycode <= connection.keycodeMax(); keycode++) {
            int[] row = meaningsOf(keycode);
            for (int level = 0; level < 4; level++) {
                int column = level < 2 ? base + level : base + level + 2;
                if (column >= row.length || !same(row, column, keysym)) {
                    continue;
                }
                Place place = new Place(keycode, level);
                if (level == levelNow) {
                    return place; // nothing else has to be pressed
                }
                if (found == null || level < found.level()) {
                    found = place;
                }
            }
        }
        return found;
    }

    /** A letter that has no second meaning has its capital as that (X11 protocol, "Keyboards"). */
    private static boolean same(int[] row, int column, int keysym) {
        if (row[column] == keysym) {
            return true;
        }
        return column % 2 == 1
                && row[column] == 0
                && row[column - 1] < 0x100
                && Character.isLowerCase(row[column - 1])
                && Character.toUpperCase(row[column - 1]) == keysym;
    }

    synchronized void key(int keysym, boolean down) throws IOException {
        Integer before = held.get(keysym);
        if (!down) {
            if (before != null) {
                held.remove(keysym);
                fake(KEY_RELEASE, before);
            }
            return;
        }
        if (before != null) {
            fake(KEY_RELEASE, before); // held on: its holder repeats it
            fake(KEY_PRESS, before);
            return;
        }
        if (outdated) {
            readLayout();
        }
        // QueryPointer: the core state, which has the group in bits 13 and 14 (XKB protocol, "Computing A State Field
        // from an XKB State").
        int state =
                connection.ask(new Request(38, 0).u32(connection.rootWindow())).getShort(24) & 0xffff;
        int group = (state >> 13) & 3;
        int levelNow = level(state);
        Place place = find(keysym, group, levelNow);
        if (place == null) {
            press(keysym, give(keysym));
            return;
        }
        int wanted = place.level();
        if (isModifier(place.keycode()) || levelNow(state, keysym) == wanted) {
            press(keysym, place.keycode());
            return;
        }
        pressWith(keysym, place, state);
    }

    private boolean isModifier(int keycode) {
        return modifierOf[keycode] != 0;
    }

    private int level(int state) {
        return ((state & SHIFT_MASK) != 0 ? 1 : 0) | ((state & level3Mask) != 0 ? 2 : 0);
    }

    /** Which level the modifiers choose on this key: Caps Lock works on letters, Num Lock on the keypad. */
    private int levelNow(int state, int keysym) {
        int level = level(state);
        int character = keysym > 0x1000000 ? keysym - 0x1000000 : keysym;
        boolean letter = (keysym < 0x100 || keysym > 0x1000000) && Character.isLetter(character);
        boolean keypad = keysym >= 0xff80 && keysym <= 0xffbd;
        if ((letter && (state & LOCK_MASK) != 0) || (keypad && (state & numLockMask) != 0)) {
            level ^= 1;
        }
        return level;
    }

    /** With other shift keys than are held, which are put back as they were. */
    private void pressWith(int keysym, Place place, int state) throws IOException {
        int change = levelNow(state, keysym) ^ place.level();
        List<Integer> released = new ArrayList<>();
        List<Integer> pressed = new ArrayList<>();
        change((change & 1) != 0, (state & SHIFT_MASK) != 0, SHIFT_MASK, shiftKey, released, pressed);
        change((change & 2) != 0, (state & level3Mask) != 0, level3Mask, level3Key, released, pressed);
        for (int keycode : released) {
            fake(KEY_RELEASE, keycode);
        }
        for (int keycode : pressed) {
            fake(KEY_PRESS, keycode);
        }
        press(keysym, place.keycode());
        for (int keycode : pressed.reversed()) {
            fake(KEY_RELEASE, keycode);
        }
        for (int keycode : released) {
            fake(KEY_PRESS, keycode);
        }
    }

    private void change(boolean change, boolean on, int mask, int key, List<Integer> released, List<Integer> pressed) {
        if (!change) {
            return;
        }
        if (!on) {
            if (key != 0) {
                pressed.add(key);
            }
            return;
        }
        for (int keycode : held.values()) {
            if ((modifierOf[keycode] & mask) != 0) {
                released.add(keycode);
            }
        }
    }

    /** Gives a keycode without a meaning this one, at each level. */
    private int give(int keysym) throws IOException {
        Integer known = given.get(keysym);
        if (known != null) {
            return known;
        }
        int keycode;
        if (!spare.isEmpty()) {
            keycode = spare.removeLast();
        } else {
            // The one that was used longest ago: programs have read by now what it meant then.
            int oldest = 0;
            for (int candidate : given.keySet()) {
                if (!held.containsKey(candidate)) {
                    oldest = candidate;
                    break;
                }
            }
            Integer freed = given.remove(oldest);
            if (freed == null) {
                throw new IOException("the session's keyboard has no key left for what was typed");
            }
            keycode = freed;
        }
        given.put(keysym, keycode);
        mean(keycode, keysym);
        return keycode;
    }

    /** ChangeKeyboardMapping. */
    private void mean(int keycode, int keysym) throws IOException {
        connection.send(new Request(100, 1).u8(keycode).u8(2).u16(0).u32(keysym).u32(keysym));
    }

    private void press(int keysym, int keycode) throws IOException {
        held.put(keysym, keycode);
        fake(KEY_PRESS, keycode);
    }

    private void fake(int type, int keycode) throws IOException {
        connection.send(fake(testOpcode, type, keycode, 0, 0, 0));
    }

    /** FakeInput, XTEST protocol. */
    static Request fake(int testOpcode, int type, int detail, int root, int x, int y) {
        return new Request(testOpcode, 2)
                .u8(type)
                .u8(detail)
                .u16(0)
                .u32(0)
                .u32(root)
                .u32(0)
                .u32(0)
                .u16(x)
                .u16(y)
                .u32(0)
                .u32(0);
    }

    synchronized void releaseAll() throws IOException {
        for (int keycode : new ArrayList<>(held.values()).reversed()) {
            fake(KEY_RELEASE, keycode);
        }
        held.clear();
    }

    /** Leaves the session's keyboard as it was found. */
    synchronized void restore() throws IOException {
        releaseAll();
        for (int keycode : new HashMap<>(given).values()) {
            mean(keycode, 0);
        }
        given.clear();
        setRepeat(repeated);
    }
}
