package dev.satchel.display.x11;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;

/**
 * Presses keys by what they mean. Where the session's layout has the meaning, the key that has it is pressed, with Shift, AltGr and Caps Lock
 * changed around it if it needs others than are in effect; for what it has not, a key that means nothing is given that meaning.
 *
 * <p>Repeating held keys is left to who holds them, and the server's own repeating turned off: a link that stalls would make the server
 * repeat for too long. Thread-safe.
 */
final class Keyboard {
    private static final int KEY_PRESS = 2;
    private static final int KEY_RELEASE = 3;
    private static final int SPARE_MAX = 64;
    private static final int AUTO_REPEAT = 1 << 7;
    private static final int CORE_KEYBOARD = 0x100;
    private static final int XKB_NEW_KEYBOARD = 1;
    private static final int XKB_MAP = 2;
    private static final int XKB_BELL = 1 << 8;
    private static final int XKB_BELL_NOTIFY = 8;
    private static final int TYPES_SYMS_MODIFIERS = 1 | 2 | 4;
    private static final int ATTEMPTS_MAX = 3;
    /**
     * Before a key gets another meaning: a program learns the meaning a key has when it looks, not what it had when it was pressed. One that is
     * behind by more than that reads something else.
     */
    private static final long REUSE_NANOS_MIN = 300_000_000;

    private final X11Connection connection;
    private final int testOpcode;
    private final X11Connection.Extension xkb;
    private final boolean repeated;

    /** Whether the layout changed since it was read; set before the reply to what was asked after that change is told. */
    private volatile boolean outdated = true;

    // All guarded by this.
    private Keymap keymap;
    /** Keysym to the keycode that was pressed for it. */
    private final Map<Integer, Integer> held = new LinkedHashMap<>();

    private record Given(int keysym, long pressedNanos) {}

    /** Keycodes that got a meaning, least lately pressed first. */
    private final Map<Integer, Given> given = new LinkedHashMap<>();

    /** @param testOpcode of the XTEST extension */
    Keyboard(X11Connection connection, int testOpcode) throws IOException {
        this.connection = connection;
        this.testOpcode = testOpcode;
        xkb = connection.extension("XKEYBOARD");
        // UseExtension, version 1.0.
        if (connection.ask(new Request(xkb.opcode(), 0).u16(1).u16(0)).get(1) == 0) {
            throw new IOException("the session's X server speaks another version of XKEYBOARD");
        }
        // SelectEvents: another keyboard, another map, the bell; who has used the extension is not sent MappingNotify.
        connection.send(new Request(xkb.opcode(), 1)
                .u16(CORE_KEYBOARD)
                .u16(XKB_NEW_KEYBOARD | XKB_MAP | XKB_BELL)
                .u16(0)
                .u16(XKB_NEW_KEYBOARD | XKB_MAP | XKB_BELL)
                .u16(0xff)
                .u16(0xff));
        keymap = readKeymap();
        repeated = connection.ask(new Request(103, 0)).get(1) == 1; // GetKeyboardControl
        setRepeat(false);
    }

    private void setRepeat(boolean on) throws IOException {
        // ChangeKeyboardControl, auto-repeat-mode.
        connection.send(new Request(102, 0).u32(AUTO_REPEAT).u32(on ? 1 : 0));
    }

    /** An event of the connection: the layout may have changed, by a program or by this. Waits for nothing. */
    boolean isLayoutChange(ByteBuffer event) {
        boolean mine = event.get(0) == xkb.firstEvent() && event.get(1) <= 1; // NewKeyboardNotify, MapNotify
        if (mine) {
            outdated = true;
        }
        return mine;
    }

    /** An event of the connection: a program rang the bell, a keyboard's in the core protocol. */
    boolean isBell(ByteBuffer event) {
        return event.get(0) == xkb.firstEvent() && event.get(1) == XKB_BELL_NOTIFY;
    }

    private Keymap readKeymap() throws IOException {
        outdated = false;
        // GetMap: all of these, and none in part.
        Request request = new Request(xkb.opcode(), 8)
                .u16(CORE_KEYBOARD)
                .u16(TYPES_SYMS_MODIFIERS)
                .u16(0);
        for (int i = 0; i < 18; i++) {
            request.u8(0);
        }
        return new Keymap(connection.ask(Keymap.BYTES_MAX, request));
    }

    /** What was given may be gone: setxkbmap(1) replaces all. */
    private void refresh() throws IOException {
        keymap = readKeymap();
        given.entrySet()
                .removeIf(entry -> Keysyms.canonical(Keysyms.lower(keymap.meaning(entry.getKey(), 0, 0)))
                        != Keysyms.canonical(Keysyms.lower(entry.getValue().keysym())));
    }

    synchronized void key(int keysym, boolean down) throws IOException {
        Integer before = held.get(keysym);
        if (!down) {
            if (before != null) {
                held.remove(keysym);
                connection.send(release(before));
            }
            return;
        }
        if (before != null) {
            connection.send(release(before), press(before)); // its holder repeats it
            return;
        }
        for (int attempt = 1; ; attempt++) {
            // GetState: modifiers at 8, group at 12. By now changes of the layout before it are known.
            ByteBuffer state = connection.ask(
                    new Request(xkb.opcode(), 4).u16(CORE_KEYBOARD).u16(0));
            if (outdated) {
                refresh();
            }
            if (pressIfThere(keysym, state.get(8) & 0xff, state.get(12) & 0xff)) {
                return;
            }
            int keycode = give(keysym);
            if (attempt == ATTEMPTS_MAX) {
                press(keysym, keycode, List.of()); // somebody else keeps changing the layout
                return;
            }
            outdated = true;
        }
    }

    private boolean pressIfThere(int keysym, int modifiers, int group) throws IOException {
        if (Keysyms.isModifier(keysym)) {
            int keycode = keymap.findModifier(keysym);
            int other = Keysyms.substitute(keysym);
            if (keycode == 0 && other != 0) {
                keycode = keymap.findModifier(other);
            }
            if (keycode != 0) {
                press(keysym, keycode, List.of());
                return true;
            }
        }
        int state = modifiers & keymap.choosing();
        int[] changes = {0, Keymap.SHIFT, keymap.level3(), Keymap.SHIFT | keymap.level3()};
        for (int lock = 0; lock <= (state & Keymap.LOCK); lock += Keymap.LOCK) {
            for (int change : changes) {
                int keycode = keymap.find(keysym, group, state ^ (change | lock));
                if (keycode != 0 && canChange(change & ~state)) {
                    pressWith(keysym, keycode, state, change | lock);
                    return true;
                }
            }
        }
        return false;
    }

    /** Whether there are keys to set these modifiers. */
    private boolean canChange(int toSet) {
        return ((toSet & Keymap.SHIFT) == 0 || keymap.keyFor(Keymap.SHIFT) != 0)
                && ((toSet & keymap.level3()) == 0 || keymap.keyFor(keymap.level3()) != 0);
    }

    /** With these modifiers changed, which are put back as they were. */
    private void pressWith(int keysym, int keycode, int state, int change) throws IOException {
        List<Request> before = new ArrayList<>();
        List<Request> after = new ArrayList<>();
        if ((change & Keymap.LOCK) != 0) {
            int lock = keymap.keyFor(Keymap.LOCK);
            before.addAll(List.of(press(lock), release(lock)));
            after.addAll(List.of(press(lock), release(lock)));
        }
        int toClear = change & state & ~Keymap.LOCK;
        if (toClear != 0) {
            // QueryKeymap: whoever holds them, also not by this.
            ByteBuffer down = connection.ask(new Request(44, 0));
            for (int other = connection.keycodeMin(); other <= connection.keycodeMax(); other++) {
                if ((keymap.modifiers(other) & toClear) != 0 && (down.get(8 + other / 8) >> (other % 8) & 1) != 0) {
                    before.add(release(other));
                    after.addFirst(press(other));
                }
            }
        }
        for (int mask : new int[] {Keymap.SHIFT, keymap.level3()}) {
            if ((change & ~state & mask) != 0) {
                before.add(press(keymap.keyFor(mask)));
                after.addFirst(release(keymap.keyFor(mask)));
            }
        }
        press(keysym, keycode, before, after);
    }

    private void press(int keysym, int keycode, List<Request> before) throws IOException {
        press(keysym, keycode, before, List.of());
    }

    private void press(int keysym, int keycode, List<Request> before, List<Request> after) throws IOException {
        List<Request> all = new ArrayList<>(before);
        if (held.values().remove(keycode)) {
            all.addFirst(release(keycode)); // held for another meaning that it has
        }
        all.add(press(keycode));
        all.addAll(after);
        Given pressed = given.remove(keycode);
        if (pressed != null) {
            given.put(keycode, new Given(pressed.keysym(), System.nanoTime()));
        }
        held.put(keysym, keycode);
        connection.send(all.toArray(Request[]::new));
    }

    /** Gives a key without a meaning this one: a small and a capital letter together, so that Caps Lock does what it does. */
    private int give(int keysym) throws IOException {
        int keycode = spare();
        if (keycode == 0) {
            for (Map.Entry<Integer, Given> oldest : given.entrySet()) {
                if (!held.containsValue(oldest.getKey())) {
                    keycode = oldest.getKey();
                    LockSupport.parkNanos(REUSE_NANOS_MIN
                            - (System.nanoTime() - oldest.getValue().pressedNanos()));
                    break;
                }
            }
        }
        if (keycode == 0) {
            throw new IOException("the session's keyboard has no key left for what was typed");
        }
        int lower = Keysyms.lower(keysym);
        int upper = Keysyms.upper(keysym);
        boolean letter = lower != upper && Keysyms.upper(lower) == upper && Keysyms.lower(upper) == lower;
        given.remove(keycode);
        given.put(keycode, new Given(letter ? lower : keysym, System.nanoTime()));
        mean(keycode, letter ? lower : keysym, letter ? upper : keysym);
        return keycode;
    }

    /** From the far end: layouts fill up from the other. */
    private int spare() {
        for (int keycode = connection.keycodeMax(); keycode >= connection.keycodeMin(); keycode--) {
            if (given.size() < SPARE_MAX && !given.containsKey(keycode) && keymap.isSpare(keycode)) {
                return keycode;
            }
        }
        return 0;
    }

    /** ChangeKeyboardMapping. */
    private void mean(int keycode, int keysym, int shifted) throws IOException {
        connection.send(new Request(100, 1).u8(keycode).u8(2).u16(0).u32(keysym).u32(shifted));
    }

    private Request press(int keycode) {
        return fake(testOpcode, KEY_PRESS, keycode, 0, 0, 0);
    }

    private Request release(int keycode) {
        return fake(testOpcode, KEY_RELEASE, keycode, 0, 0, 0);
    }

    /** FakeInput: XTEST Extension Protocol, section 5. */
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
        List<Request> releases = new ArrayList<>();
        for (int keycode : held.values()) {
            releases.addFirst(release(keycode));
        }
        held.clear();
        connection.send(releases.toArray(Request[]::new));
    }

    /** Leaves the session's keyboard as it was found. */
    synchronized void restore() throws IOException {
        releaseAll();
        if (outdated && !given.isEmpty()) {
            refresh();
        }
        for (int keycode : given.keySet()) {
            mean(keycode, 0, 0);
        }
        given.clear();
        setRepeat(repeated);
    }
}
