// @ts-check
/**
 * Keysyms of X11: what a key means, as numbers (X.Org's keysymdef.h, "X Window System Protocol" appendix A).
 */

/**
 * Keysyms of characters older than the Unicode rule, as runs: the keysym of the first character, then the characters; a blank where a
 * run has none. Layouts in a session name these, so the Unicode rule's numbers would not be found in them.
 *
 * @type {ReadonlyArray<readonly [number, string]>}
 */
const RUNS = [
    // Latin 2
    [0x1a1, 'Ą˘Ł ĽŚ  ŠŞŤŹ ŽŻ ą˛ł ľśˇ šşťź˝žżŔ  Ă ĹĆ Č Ę Ě  ĎĐŃŇ  Ő  ŘŮ Ű  Ţ ŕ  ă ĺć č ę ě  ďđńň  ő  řů ű  ţ˙'],
    // Latin 3
    [0x2a1, 'Ħ    Ĥ  İ ĞĴ    ħ    ĥ  ı ğĵ'],
    [0x2c5, 'ĊĈ'],
    [0x2d5, 'Ġ  Ĝ    ŬŜ'],
    [0x2e5, 'ċĉ'],
    [0x2f5, 'ġ  ĝ    ŭŝ'],
    // Latin 4
    [0x3a2, 'ĸŖ ĨĻ   ĒĢŦ'],
    [0x3b3, 'ŗ ĩļ   ēģŧŊ ŋĀ'],
    [0x3c7, 'Į    Ė  Ī ŅŌĶ     Ų   ŨŪ ā'],
    [0x3e7, 'į    ė  ī ņōķ     ų   ũū'],
    // Katakana
    [0x47e, '‾'],
    [0x4a1, '。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン゛゜'],
    // Arabic
    [0x5ac, '،'],
    [0x5bb, '\u061b   \u061f \u0621\u0622\u0623\u0624\u0625\u0626\u0627\u0628\u0629\u062a\u062b\u062c\u062d\u062e\u062f\u0630\u0631\u0632\u0633\u0634\u0635\u0636\u0637\u0638\u0639\u063a     \u0640\u0641\u0642\u0643\u0644\u0645\u0646\u0647\u0648\u0649\u064a\u064b\u064c\u064d\u064e\u064f\u0650\u0651\u0652'],
    // Cyrillic
    [0x6a1, 'ђѓёєѕіїјљњћќґўџ№ЂЃЁЄЅІЇЈЉЊЋЌҐЎЏюабцдефгхийклмнопярстужвьызшэщчъЮАБЦДЕФГХИЙКЛМНОПЯРСТУЖВЬЫЗШЭЩЧЪ'],
    // Greek
    [0x7a1, 'ΆΈΉΊΪ ΌΎΫ Ώ  ΅― άέήίϊΐόύϋΰώ     ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣ ΤΥΦΧΨΩ'],
    [0x7e1, 'αβγδεζηθικλμνξοπρσςτυφχψω'],
    // technical
    [0x8a1, '⎷  ⌠⌡ ⎡⎣⎤⎦⎛⎝⎞⎠⎨⎬'],
    [0x8bc, '≤≠≥∫∴∝∞  ∇  ∼≃   ⇔⇒≡'],
    [0x8d6, '√   ⊂⊃∩∪∧∨'],
    [0x8ef, '∂'],
    [0x8f6, 'ƒ    ←↑→↓'],
    // publishing
    [0xaa1, '\u2003\u2002\u2004\u2005\u2007\u2008\u2009\u200a—–   …‥⅓⅔⅕⅖⅗⅘⅙⅚℅  ‒'],
    [0xac3, '⅛⅜⅝⅞  ™'],
    [0xad0, '‘’“”℞‰′″ ✝'],
    [0xaec, '♣♦♥ ✠†‡✓✗♯♭♂♀☎⌕℗‸‚„'],
    // Hebrew
    [0xcdf, '‗\u05d0\u05d1\u05d2\u05d3\u05d4\u05d5\u05d6\u05d7\u05d8\u05d9\u05da\u05db\u05dc\u05dd\u05de\u05df\u05e0\u05e1\u05e2\u05e3\u05e4\u05e5\u05e6\u05e7\u05e8\u05e9\u05ea'],
    // Thai
    [0xda1, '\u0e01\u0e02\u0e03\u0e04\u0e05\u0e06\u0e07\u0e08\u0e09\u0e0a\u0e0b\u0e0c\u0e0d\u0e0e\u0e0f\u0e10\u0e11\u0e12\u0e13\u0e14\u0e15\u0e16\u0e17\u0e18\u0e19\u0e1a\u0e1b\u0e1c\u0e1d\u0e1e\u0e1f\u0e20\u0e21\u0e22\u0e23\u0e24\u0e25\u0e26\u0e27\u0e28\u0e29\u0e2a\u0e2b\u0e2c\u0e2d\u0e2e\u0e2f\u0e30\u0e31\u0e32\u0e33\u0e34\u0e35\u0e36\u0e37\u0e38\u0e39\u0e3a    \u0e3f\u0e40\u0e41\u0e42\u0e43\u0e44\u0e45\u0e46\u0e47\u0e48\u0e49\u0e4a\u0e4b\u0e4c\u0e4d  \u0e50\u0e51\u0e52\u0e53\u0e54\u0e55\u0e56\u0e57\u0e58\u0e59'],
    // Latin 9
    [0x13bc, 'ŒœŸ'],
    // currency
    [0x20ac, '€'],
];

/** @type {Map<string, number>} */
const OF_CHARACTER = new Map();
for (const [first, characters] of RUNS) {
    [...characters].forEach((character, i) => {
        if (character !== ' ') {
            OF_CHARACTER.set(character, first + i);
        }
    });
}

/** Keysyms by their names in X11, as far as the viewer names them. */
export const XK = Object.freeze({
    BackSpace: 0xff08,
    Tab: 0xff09,
    Return: 0xff0d,
    Escape: 0xff1b,
    Delete: 0xffff,
    Print: 0xff61,
    Insert: 0xff63,
    Left: 0xff51,
    Up: 0xff52,
    Right: 0xff53,
    Down: 0xff54,
    Home: 0xff50,
    End: 0xff57,
    Page_Up: 0xff55,
    Page_Down: 0xff56,
    F1: 0xffbe,
    Shift_L: 0xffe1,
    Shift_R: 0xffe2,
    Control_L: 0xffe3,
    Control_R: 0xffe4,
    Alt_L: 0xffe9,
    Alt_R: 0xffea,
    Super_L: 0xffeb,
    Super_R: 0xffec,
    ISO_Level3_Shift: 0xfe03,
});

/**
 * KeyboardEvent.key (UI Events KeyboardEvent key Values) → keysym. Caps Lock and Num Lock are not here on purpose: `key` has them in it
 * already, and a session that locked as well would undo that.
 *
 * @type {Readonly<Record<string, number>>}
 */
const NAMED = Object.freeze({
    Backspace: XK.BackSpace,
    Tab: XK.Tab,
    Enter: XK.Return,
    Escape: XK.Escape,
    Delete: XK.Delete,
    Clear: 0xff0b,
    Pause: 0xff13,
    ScrollLock: 0xff14,
    PrintScreen: XK.Print,
    Insert: XK.Insert,
    Home: XK.Home,
    End: XK.End,
    PageUp: XK.Page_Up,
    PageDown: XK.Page_Down,
    ArrowLeft: XK.Left,
    ArrowUp: XK.Up,
    ArrowRight: XK.Right,
    ArrowDown: XK.Down,
    ContextMenu: 0xff67,
    Help: 0xff6a,
    Find: 0xff68,
    Undo: 0xff65,
    Redo: 0xff66,
    Cancel: 0xff69,
    Select: 0xff60,
    Execute: 0xff62,
    Compose: 0xff20,
    Hyper: 0xffed,
    Convert: 0xff23,
    NonConvert: 0xff22,
    KanaMode: 0xff2d,
    KanjiMode: 0xff21,
    Hiragana: 0xff25,
    Katakana: 0xff26,
    HiraganaKatakana: 0xff27,
    Romaji: 0xff24,
    Zenkaku: 0xff28,
    Hankaku: 0xff29,
    ZenkakuHankaku: 0xff2a,
    HangulMode: 0xff31,
    HanjaMode: 0xff34,
    AltGraph: XK.ISO_Level3_Shift,
    // Keys of media keyboards: XF86keysym.h.
    AudioVolumeDown: 0x1008ff11,
    AudioVolumeMute: 0x1008ff12,
    AudioVolumeUp: 0x1008ff13,
    MediaPlayPause: 0x1008ff14,
    MediaStop: 0x1008ff15,
    MediaTrackPrevious: 0x1008ff16,
    MediaTrackNext: 0x1008ff17,
    BrowserHome: 0x1008ff18,
    BrowserBack: 0x1008ff26,
    BrowserForward: 0x1008ff27,
    BrowserRefresh: 0x1008ff29,
    BrowserSearch: 0x1008ff1b,
    BrowserFavorites: 0x1008ff30,
});

/** Those that differ by side: of the left, of the right one. */
/** @type {Readonly<Record<string, readonly [number, number]>>} */
const SIDED = Object.freeze({
    Shift: [XK.Shift_L, XK.Shift_R],
    Control: [XK.Control_L, XK.Control_R],
    Alt: [XK.Alt_L, XK.Alt_R],
    Meta: [XK.Super_L, XK.Super_R],
    OS: [XK.Super_L, XK.Super_R], // Firefox before 118
});

/**
 * On the numeric pad. A comma there is the separator, whatever it separates: so do X11's German and French layouts.
 *
 * @type {Readonly<Record<string, number>>}
 */
const NUMPAD = Object.freeze({
    ' ': 0xff80,
    Tab: 0xff89,
    Enter: 0xff8d,
    Home: 0xff95,
    ArrowLeft: 0xff96,
    ArrowUp: 0xff97,
    ArrowRight: 0xff98,
    ArrowDown: 0xff99,
    PageUp: 0xff9a,
    PageDown: 0xff9b,
    End: 0xff9c,
    Clear: 0xff9d,
    Insert: 0xff9e,
    Delete: 0xff9f,
    '*': 0xffaa,
    '+': 0xffab,
    ',': 0xffac,
    '-': 0xffad,
    '.': 0xffae,
    '/': 0xffaf,
    '=': 0xffbd,
});

/**
 * Of one character, a code point.
 *
 * @param {string} character
 * @returns {number}
 */
export function keysymOfCharacter(character) {
    const code = character.codePointAt(0) ?? 0;
    switch (code) {
        case 0x08:
            return XK.BackSpace;
        case 0x09:
            return XK.Tab;
        case 0x0a:
        case 0x0d:
            return XK.Return;
        case 0x1b:
            return XK.Escape;
        case 0x7f:
            return XK.Delete;
    }
    // Latin 1 is its own keysym; beyond it what the table has, or the Unicode rule.
    if ((code >= 0x20 && code <= 0x7e) || (code >= 0xa0 && code <= 0xff)) {
        return code;
    }
    return OF_CHARACTER.get(character) ?? 0x01000000 + code;
}

/**
 * What a key that was pressed means.
 *
 * @param {{key: string, location: number}} event of a key
 * @returns {number | undefined} nothing for a key without a meaning of its own: one that locks, one that is dead, one that nobody knows
 */
export function keysymOfKey(event) {
    const key = event.key;
    if (event.location === 3) {
        // KeyboardEvent.DOM_KEY_LOCATION_NUMPAD
        if (key.length === 1 && key >= '0' && key <= '9') {
            return 0xffb0 + key.charCodeAt(0) - 0x30;
        }
        const numpad = NUMPAD[key];
        if (numpad !== undefined) {
            return numpad;
        }
    }
    const sided = SIDED[key];
    if (sided) {
        return sided[event.location === 2 ? 1 : 0];
    }
    if (isCharacter(key)) {
        return keysymOfCharacter(key);
    }
    const functionKey = /^F([1-9]|[12][0-9]|3[0-5])$/.exec(key);
    if (functionKey) {
        return XK.F1 - 1 + Number(functionKey[1]);
    }
    return NAMED[key];
}

/**
 * Whether KeyboardEvent.key is one character, not a key's name.
 *
 * @param {string} key
 */
export function isCharacter(key) {
    const code = key.codePointAt(0);
    return code !== undefined && key.length === (code > 0xffff ? 2 : 1);
}
