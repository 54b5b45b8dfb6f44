package dev.satchel.display.x11;

/**
 * What keysyms mean as characters. Those that X11 had before Unicode have numbers of their own, which keyboard layouts still use; all
 * others are {@code 0x01000000} + code point (X Window System Protocol, appendix A; keysymdef.h).
 */
final class Keysyms {
    static final int UNICODE = 0x01000000;
    private static final int CODE_POINT_MAX = 0x10ffff;
    private static final int LEGACY_MAX = 0x20ac;
    /** The characters of the numbers up to {@code LEGACY_MAX}; 0: none. */
    private static final char[] LEGACY = new char[LEGACY_MAX + 1];

    static {
        page(0x1a1, "Ą˘Ł ĽŚ  ŠŞŤŹ ŽŻ ą˛ł ľśˇ šşťź˝žżŔ  Ă ĹĆ Č Ę Ě  ĎĐŃŇ  Ő  ŘŮ Ű  Ţ ŕ  ă ĺć č ę ě  ďđńň  ő  řů ű  ţ˙");
        page(0x2a1, "Ħ    Ĥ  İ ĞĴ    ħ    ĥ  ı ğĵ");
        page(0x2c5, "ĊĈ");
        page(0x2d5, "Ġ  Ĝ    ŬŜ      ċĉ");
        page(0x2f5, "ġ  ĝ    ŭŝ");
        page(0x3a2, "ĸŖ ĨĻ   ĒĢŦ      ŗ ĩļ   ēģŧŊ ŋĀ      Į    Ė  Ī ŅŌĶ     Ų   ŨŪ ā      į    ė  ī ņōķ     ų   ũū");
        page(0x47e, "‾");
        page(0x4a1, "。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン゛゜");
        page(0x5ac, "،");
        page(
                0x5bb,
                "\u061b   \u061f \u0621\u0622\u0623\u0624\u0625\u0626\u0627\u0628\u0629\u062a"
                        + "\u062b\u062c\u062d\u062e\u062f\u0630\u0631\u0632\u0633\u0634\u0635\u0636\u0637\u0638\u0639\u063a"
                        + "     \u0640\u0641\u0642\u0643\u0644\u0645\u0646\u0647\u0648\u0649\u064a"
                        + "\u064b\u064c\u064d\u064e\u064f\u0650\u0651\u0652");
        page(0x6a1, "ђѓёєѕіїјљњћќґўџ№ЂЃЁЄЅІЇЈЉЊЋЌҐЎЏюабцдефгхийклмнопярстужвьызшэщчъЮАБЦДЕФГХИЙКЛМНОПЯРСТУЖВЬЫЗШЭЩЧЪ");
        page(0x7a1, "ΆΈΉΊΪ ΌΎΫ Ώ  ΅― άέήίϊΐόύϋΰώ     ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣ ΤΥΦΧΨΩ       αβγδεζηθικλμνξοπρσςτυφχψω");
        page(0x8a1, "⎷┌─⌠⌡│⎡⎣⎤⎦⎛⎝⎞⎠⎨⎬");
        page(0x8bc, "≤≠≥∫∴∝∞  ∇  ∼≃   ⇔⇒≡      √   ⊂⊃∩∪∧∨");
        page(0x8ef, "∂      ƒ    ←↑→↓");
        page(0x9e0, "◆▒␉␌␍␊  ␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│");
        page(
                0xaa1,
                "\u2003\u2002\u2004\u2005\u2007\u2008\u2009\u200a—– ␣ …‥⅓"
                        + "⅔⅕⅖⅗⅘⅙⅚℅  ‒〈 〉  "
                        + "  ⅛⅜⅝⅞  ™☓ ◁▷○▯‘"
                        + "’“”℞‰′″ ✝ ▬◀▶●▮◦"
                        + "▫▭△▽☆•▪▲▼☜☞♣♦♥ ✠"
                        + "†‡✓✗♯♭♂♀☎⌕℗‸‚„");
        page(
                0xcdf,
                "‗\u05d0\u05d1\u05d2\u05d3\u05d4\u05d5\u05d6\u05d7\u05d8\u05d9\u05da\u05db\u05dc\u05dd\u05de"
                        + "\u05df\u05e0\u05e1\u05e2\u05e3\u05e4\u05e5\u05e6\u05e7\u05e8\u05e9\u05ea");
        page(
                0xda1,
                "กขฃคฅฆงจฉชซฌญฎฏฐ"
                        + "ฑฒณดตถทธนบปผฝพฟภ"
                        + "มยรฤลฦวศษสหฬอฮฯะ"
                        + "\u0e31าำ\u0e34\u0e35\u0e36\u0e37\u0e38\u0e39\u0e3a    ฿เ"
                        + "แโใไๅๆ\u0e47\u0e48\u0e49\u0e4a\u0e4b\u0e4c\u0e4d  ๐"
                        + "๑๒๓๔๕๖๗๘๙");
        page(0xea1, "ㄱㄲㄳㄴㄵㄶㄷㄸㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅃㅄㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣᆨᆩᆪᆫᆬᆭᆮᆯᆰᆱᆲᆳᆴᆵᆶᆷᆸᆹᆺᆻᆼᆽᆾᆿᇀᇁᇂㅭㅱㅸㅿㆁㆄㆆㆍㆎᇫᇰᇹ    ₩");
        page(0x13bc, "ŒœŸ");
        page(0x20ac, "€");
    }

    private Keysyms() {}

    /** @param characters of this keysym and those that follow; a space where there is none */
    private static void page(int first, String characters) {
        for (int i = 0; i < characters.length(); i++) {
            char character = characters.charAt(i);
            LEGACY[first + i] = character == ' ' ? 0 : character;
        }
    }

    /** @return the one keysym for all that mean the same character */
    static int canonical(int keysym) {
        if (keysym > 0xff && keysym <= LEGACY_MAX && LEGACY[keysym] != 0) {
            return UNICODE + LEGACY[keysym];
        }
        boolean latin1 = (keysym >= UNICODE + 0x20 && keysym <= UNICODE + 0x7e)
                || (keysym >= UNICODE + 0xa0 && keysym <= UNICODE + 0xff);
        return latin1 ? keysym - UNICODE : keysym;
    }

    /** @return its character, 0 if it means none: function keys, dead keys */
    static int codePoint(int keysym) {
        int canonical = canonical(keysym);
        if ((canonical >= 0x20 && canonical <= 0x7e) || (canonical >= 0xa0 && canonical <= 0xff)) {
            return canonical;
        }
        return canonical > UNICODE && canonical <= UNICODE + CODE_POINT_MAX ? canonical - UNICODE : 0;
    }

    private static int ofCodePoint(int codePoint) {
        return canonical(UNICODE + codePoint);
    }

    /** @return the keysym of the capital letter, canonical; that of this if it has none of one character */
    static int upper(int keysym) {
        int codePoint = codePoint(keysym);
        return codePoint == 0 ? keysym : ofCodePoint(Character.toUpperCase(codePoint));
    }

    /** @return the keysym of the small letter, canonical; that of this if it has none */
    static int lower(int keysym) {
        int codePoint = codePoint(keysym);
        return codePoint == 0 ? keysym : ofCodePoint(Character.toLowerCase(codePoint));
    }

    /** Whether it is a key that changes what others mean: Shift to Hyper, the ISO ones, Mode_switch, Num_Lock. */
    static boolean isModifier(int keysym) {
        return (keysym >= 0xffe1 && keysym <= 0xffee)
                || (keysym >= 0xfe01 && keysym <= 0xfe13)
                || keysym == 0xff7e
                || keysym == 0xff7f;
    }

    /** @return another modifier that does where a keyboard has not got this one: the other hand's, or what is used in its place; 0 if none does */
    static int substitute(int modifier) {
        return switch (modifier) {
            case 0xffe1 -> 0xffe2; // Shift, left and right
            case 0xffe2 -> 0xffe1;
            case 0xffe3 -> 0xffe4; // Control
            case 0xffe4 -> 0xffe3;
            case 0xffe9 -> 0xffea; // Alt
            case 0xffea, 0xffe7, 0xffe8 -> 0xffe9; // and Meta: Alt
            case 0xffeb -> 0xffec; // Super
            case 0xffec, 0xffed, 0xffee -> 0xffeb; // and Hyper: Super
            case 0xff7e -> 0xfe03; // Mode_switch: AltGr
            default -> 0;
        };
    }
}
