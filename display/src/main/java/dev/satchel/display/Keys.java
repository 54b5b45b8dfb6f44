package dev.satchel.display;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** Keys by name and by character, as X11 numbers them (keysymdef.h; X Window System Protocol, appendix A). */
public final class Keys {
    private static final int UNICODE = 0x01000000;
    private static final int F1 = 0xffbe;
    private static final int FUNCTION_KEYS = 35;

    /** X11's own names in lower case, and what people call them. */
    private static final Map<String, Integer> NAMES = Map.ofEntries(
            Map.entry("backspace", 0xff08),
            Map.entry("tab", 0xff09),
            Map.entry("iso_left_tab", 0xfe20),
            Map.entry("return", 0xff0d),
            Map.entry("enter", 0xff0d),
            Map.entry("pause", 0xff13),
            Map.entry("scroll_lock", 0xff14),
            Map.entry("escape", 0xff1b),
            Map.entry("esc", 0xff1b),
            Map.entry("multi_key", 0xff20),
            Map.entry("compose", 0xff20),
            Map.entry("home", 0xff50),
            Map.entry("left", 0xff51),
            Map.entry("up", 0xff52),
            Map.entry("right", 0xff53),
            Map.entry("down", 0xff54),
            Map.entry("prior", 0xff55),
            Map.entry("page_up", 0xff55),
            Map.entry("pageup", 0xff55),
            Map.entry("next", 0xff56),
            Map.entry("page_down", 0xff56),
            Map.entry("pagedown", 0xff56),
            Map.entry("end", 0xff57),
            Map.entry("print", 0xff61),
            Map.entry("insert", 0xff63),
            Map.entry("menu", 0xff67),
            Map.entry("break", 0xff6b),
            Map.entry("num_lock", 0xff7f),
            Map.entry("kp_enter", 0xff8d),
            Map.entry("shift", 0xffe1),
            Map.entry("shift_l", 0xffe1),
            Map.entry("shift_r", 0xffe2),
            Map.entry("ctrl", 0xffe3),
            Map.entry("control", 0xffe3),
            Map.entry("control_l", 0xffe3),
            Map.entry("control_r", 0xffe4),
            Map.entry("caps_lock", 0xffe5),
            Map.entry("meta_l", 0xffe7),
            Map.entry("meta_r", 0xffe8),
            Map.entry("alt", 0xffe9),
            Map.entry("alt_l", 0xffe9),
            Map.entry("alt_r", 0xffea),
            Map.entry("super", 0xffeb),
            Map.entry("super_l", 0xffeb),
            Map.entry("super_r", 0xffec),
            Map.entry("altgr", 0xfe03),
            Map.entry("iso_level3_shift", 0xfe03),
            Map.entry("delete", 0xffff),
            Map.entry("del", 0xffff),
            Map.entry("space", 0x20),
            Map.entry("plus", 0x2b),
            Map.entry("minus", 0x2d));

    private Keys() {}

    /** @return the keysym of the key that writes this character */
    public static int ofCharacter(int codePoint) {
        return switch (codePoint) {
            case '\n', '\r' -> 0xff0d;
            case '\t' -> 0xff09;
            case '\b' -> 0xff08;
            case 0x1b -> 0xff1b;
            case 0x7f -> 0xffff;
            default ->
                (codePoint >= 0x20 && codePoint < 0x7f) || (codePoint >= 0xa0 && codePoint <= 0xff)
                        ? codePoint
                        : UNICODE + codePoint;
        };
    }

    /**
     * Keys that are pressed one after the other and released together.
     *
     * @param text names or characters with {@code +} between them: {@code ctrl+shift+t}, {@code Return}, {@code é}, {@code ctrl++}
     * @return empty if one of them is no key
     */
    public static Optional<List<Integer>> chord(String text) {
        List<Integer> keys = new ArrayList<>();
        int from = 0;
        while (from < text.length()) {
            int end = text.indexOf('+', from + 1);
            String name = text.substring(from, end < 0 ? text.length() : end);
            Optional<Integer> key = named(name);
            if (key.isEmpty() || end == text.length() - 1) {
                return Optional.empty();
            }
            keys.add(key.get());
            from = end < 0 ? text.length() : end + 1;
        }
        return keys.isEmpty() ? Optional.empty() : Optional.of(keys);
    }

    private static Optional<Integer> named(String name) {
        if (name.codePointCount(0, name.length()) == 1) {
            return Optional.of(ofCharacter(name.codePointAt(0)));
        }
        String lower = name.toLowerCase(Locale.ROOT);
        if (lower.startsWith("f") && lower.length() <= 3) {
            int number = 0;
            for (int i = 1; i < lower.length(); i++) {
                int digit = lower.charAt(i) - '0';
                if (digit < 0 || digit > 9) {
                    return Optional.empty();
                }
                number = number * 10 + digit;
            }
            return number >= 1 && number <= FUNCTION_KEYS ? Optional.of(F1 + number - 1) : Optional.empty();
        }
        return Optional.ofNullable(NAMES.get(lower));
    }
}
