package dev.satchel.display.x11;

import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * What a keyboard's keys mean, as the server has it: X Keyboard Extension, GetMap. Immutable.
 *
 * <p>Sources: "The X Keyboard Extension: Protocol Specification", appendix D (GetMap, KB_KEYTYPE, KB_KEYSYMMAP), and "Determining the KeySym
 * Associated with a Key Event" in its section 12.
 */
final class Keymap {
    static final int SHIFT = 1;
    static final int LOCK = 2;

    private static final int KEYCODES = 256;
    private static final int LEVEL3_SHIFT = 0xfe03;
    private static final int LEVEL5_SHIFT = 0xfe11;
    private static final int NUM_LOCK = 0xff7f;
    private static final int SHIFT_LEFT = 0xffe1;
    private static final int SHIFT_RIGHT = 0xffe2;
    private static final int CAPS_LOCK = 0xffe5;

    /** Of a reply: as many as there can be of everything are some hundred kilobytes. */
    static final int BYTES_MAX = 1 << 20;

    /**
     * How the modifiers choose a level.
     *
     * @param mask the modifiers that do
     * @param levels which level each of {@code masks} chooses; all else the first
     * @param kept of those, which go on meaning what they mean to all keys
     */
    // Nobody compares them.
    @SuppressWarnings("ArrayRecordComponent")
    private record Type(int mask, int[] masks, int[] levels, int[] kept) {}

    /** @param syms rows of {@code width}, one a group */
    @SuppressWarnings("ArrayRecordComponent")
    private record Key(int[] types, int groupInfo, int width, int[] syms) {
        int groups() {
            return groupInfo & 0x0f;
        }
    }

    private final Type[] types;
    private final Key[] keys = new Key[KEYCODES];
    private final int[] modifiers = new int[KEYCODES];
    private final int keycodeMin;
    private final int keycodeMax;
    private final int level3;
    private final int level5;
    private final int numLock;

    /**
     * @param reply to GetMap, of all key types, key symbols and the modifier map
     * @throws IOException if it makes no sense
     */
    Keymap(ByteBuffer reply) throws IOException {
        try {
            keycodeMin = reply.get(10) & 0xff;
            keycodeMax = reply.get(11) & 0xff;
            types = new Type[reply.get(15) & 0xff];
            int firstSym = reply.get(17) & 0xff;
            int symKeys = reply.get(20) & 0xff;
            int modifierKeys = reply.get(33) & 0xff;
            int at = 40;
            for (int i = 0; i < types.length; i++) {
                int entries = reply.get(at + 5) & 0xff;
                boolean preserve = reply.get(at + 6) != 0;
                int mask = reply.get(at) & 0xff;
                at += 8;
                int[] masks = new int[entries];
                int[] levels = new int[entries];
                int[] kept = new int[entries];
                for (int entry = 0; entry < entries; entry++, at += 8) {
                    // One that is not active, because its virtual modifiers are no real ones, matches nothing.
                    masks[entry] = reply.get(at) == 0 ? -1 : reply.get(at + 1) & 0xff;
                    levels[entry] = reply.get(at + 2) & 0xff;
                }
                for (int entry = 0; preserve && entry < entries; entry++, at += 4) {
                    kept[entry] = reply.get(at) & 0xff;
                }
                types[i] = new Type(mask, masks, levels, kept);
            }
            for (int i = 0; i < symKeys && firstSym + i < KEYCODES; i++) {
                int[] ofGroups = new int[4];
                for (int group = 0; group < 4; group++) {
                    ofGroups[group] = reply.get(at + group) & 0xff;
                }
                int groupInfo = reply.get(at + 4) & 0xff;
                int width = reply.get(at + 5) & 0xff;
                int[] syms = new int[reply.getShort(at + 6) & 0xffff];
                at += 8;
                for (int sym = 0; sym < syms.length; sym++, at += 4) {
                    syms[sym] = reply.getInt(at);
                }
                keys[firstSym + i] = new Key(ofGroups, groupInfo, width, syms);
            }
            for (int i = 0; i < modifierKeys; i++, at += 2) {
                modifiers[reply.get(at) & 0xff] = reply.get(at + 1) & 0xff;
            }
        } catch (IndexOutOfBoundsException e) {
            throw new IOException("the X server sent a keyboard map that makes no sense", e);
        }
        level3 = modifiersOf(LEVEL3_SHIFT);
        level5 = modifiersOf(LEVEL5_SHIFT);
        numLock = modifiersOf(NUM_LOCK);
    }

    private int modifiersOf(int keysym) {
        int mask = 0;
        for (int keycode = keycodeMin; keycode <= keycodeMax; keycode++) {
            if (modifiers[keycode] != 0 && has(keycode, keysym)) {
                mask |= modifiers[keycode];
            }
        }
        return mask & ~(SHIFT | LOCK);
    }

    private boolean has(int keycode, int keysym) {
        Key key = keys[keycode];
        if (key != null) {
            for (int sym : key.syms) {
                if (sym == keysym) {
                    return true;
                }
            }
        }
        return false;
    }

    /** The modifiers that AltGr sets, 0 if there is no such key. */
    int level3() {
        return level3;
    }

    /** The modifiers by which characters are chosen; Control, Alt and such are for programs. */
    int choosing() {
        return SHIFT | LOCK | level3 | level5 | numLock;
    }

    /** What this key is as a modifier, 0 if it is none. */
    int modifiers(int keycode) {
        return modifiers[keycode];
    }

    /** @return whether this key means nothing at all, and never did */
    boolean isSpare(int keycode) {
        Key key = keys[keycode];
        if (modifiers[keycode] != 0) {
            return false;
        }
        if (key != null) {
            for (int sym : key.syms) {
                if (sym != 0) {
                    return false;
                }
            }
        }
        return true;
    }

    /**
     * What programs take a key for.
     *
     * @param state modifiers that are in effect
     * @return 0 if it means nothing
     */
    int meaning(int keycode, int group, int state) {
        Key key = keys[keycode];
        if (key == null || key.groups() == 0) {
            return 0;
        }
        int ofKey = group;
        if (group >= key.groups()) {
            // groupInfo's upper bits: what to do with groups that a key has not got.
            ofKey = switch (key.groupInfo >> 6) {
                case 1 -> key.groups() - 1;
                case 2 -> {
                    int redirected = (key.groupInfo >> 4) & 3;
                    yield redirected < key.groups() ? redirected : 0;
                }
                default -> group % key.groups();
            };
        }
        if (key.types[ofKey & 3] >= types.length) {
            return 0;
        }
        Type type = types[key.types[ofKey & 3]];
        int level = 0;
        int consumed = type.mask;
        for (int i = 0; i < type.masks.length; i++) {
            if (type.masks[i] == (state & type.mask)) {
                level = type.levels[i];
                consumed &= ~type.kept[i];
                break;
            }
        }
        int at = ofKey * key.width + level;
        if (level >= key.width || at >= key.syms.length) {
            return 0;
        }
        int sym = key.syms[at];
        // Caps Lock that chose no level makes capitals of letters.
        return (state & LOCK & ~consumed) != 0 ? Keysyms.upper(sym) : sym;
    }

    /** @return a key that means this in that state, 0 if there is none */
    int find(int keysym, int group, int state) {
        int canonical = Keysyms.canonical(keysym);
        for (int keycode = keycodeMin; keycode <= keycodeMax; keycode++) {
            if (Keysyms.canonical(meaning(keycode, group, state)) == canonical) {
                return keycode;
            }
        }
        return 0;
    }

    /** @return a key that is this modifier without any other, 0 if there is none */
    int findModifier(int keysym) {
        int found = 0;
        for (int keycode = keycodeMin; keycode <= keycodeMax; keycode++) {
            Key key = keys[keycode];
            for (int group = 0; key != null && group < key.groups(); group++) {
                int at = group * key.width;
                if (at < key.syms.length && key.syms[at] == keysym) {
                    if (modifiers[keycode] != 0) {
                        return keycode;
                    }
                    found = keycode;
                }
            }
        }
        return found;
    }

    /** @return the key that sets these modifiers: Shift, Caps Lock or AltGr */
    int keyFor(int mask) {
        if (mask == SHIFT) {
            int left = findModifier(SHIFT_LEFT);
            return left != 0 ? left : findModifier(SHIFT_RIGHT);
        }
        return findModifier(mask == LOCK ? CAPS_LOCK : LEVEL3_SHIFT);
    }
}
