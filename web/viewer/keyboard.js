// @ts-check
/**
 * Keys → KEY messages. What a key means is what the browser says it means here (KeyboardEvent.key), so that whatever layout this
 * computer has is the one that is typed in; text that no single key means (dead keys, input methods, on-screen keyboards) comes through
 * a text area that nobody sees.
 */
import { isCharacter, keysymOfCharacter, keysymOfKey, XK } from './keysyms.js';

/**
 * @typedef {object} Sink
 * @property {(keysym: number, down: boolean) => void} key
 * @property {(text: string) => void} paste this computer's clipboard, before the key that pastes
 * @property {() => void} leave the keyboard shall go to the page's own controls
 */

/** Windows sends a left Ctrl before AltGr, in the same moment. */
const ALTGR_MILLIS = 60;
/** How long a key that pastes waits for the browser to hand over what is to be pasted. */
const PASTE_MILLIS = 80;
/** On-screen keyboards delete only where there is something: this is always before the caret. */
const FILLING = '_'.repeat(48);

/** Modifiers of KeyboardEvent.getModifierState and the keys (KeyboardEvent.code) that hold them. */
/** @type {ReadonlyArray<readonly [string, readonly string[]]>} */
const MODIFIERS = [
    ['Shift', ['ShiftLeft', 'ShiftRight']],
    ['Control', ['ControlLeft', 'ControlRight']],
    ['Alt', ['AltLeft', 'AltRight']],
    ['Meta', ['MetaLeft', 'MetaRight', 'OSLeft', 'OSRight']],
];

export class Keyboard {
    enabled = false;
    /** On a Mac Command does what Ctrl does elsewhere: in the session as well? */
    commandIsControl = true;
    /** @type {Map<string, number>} KeyboardEvent.code → keysym, of what is down in the session. */
    #held = new Map();
    /** @type {Set<number>} Modifiers held by the page's own buttons. */
    #sticky = new Set();
    /** @type {{at: number, keysym: number, timer: ReturnType<typeof setTimeout>} | undefined} */
    #control;
    /** @type {{code: string, keysym: number, timer: ReturnType<typeof setTimeout>} | undefined} */
    #pasting;
    /** Whether Ctrl, Alt and Shift were held together, and nothing else. */
    #chord = false;
    #composing = false;
    #known = '';
    #touch = false;

    /**
     * @param {HTMLTextAreaElement} input takes the keys while it has the focus
     * @param {Sink} sink
     * @param {string} platform what the browser runs on, as it says itself
     */
    constructor(input, sink, platform) {
        this.input = input;
        this.sink = sink;
        this.mac = /^(mac|ip(hone|ad|od))/i.test(platform);
        this.windows = /^win/i.test(platform);
        this.android = /android/i.test(platform) || /Android/.test(navigator.userAgent);
        input.addEventListener('keydown', event => this.down(event));
        input.addEventListener('keyup', event => this.#up(event));
        // Wherever the focus is, and whether or not keys go to the session: the way to the page's own controls is always there.
        addEventListener('keydown', event => this.#noteChord(event));
        addEventListener('keyup', () => this.#endChord());
        input.addEventListener('blur', () => this.releaseAll());
        input.addEventListener('compositionstart', () => (this.#composing = true));
        input.addEventListener('compositionend', () => {
            this.#composing = false;
            this.#typed();
            // Some browsers change the text once more after this.
            setTimeout(() => this.#tidy(), 0);
        });
        input.addEventListener('input', () => {
            // What an input method is still thinking about is not text yet; on-screen keyboards think about every word until its end.
            if (!this.#composing || this.android) {
                this.#typed();
            }
            if (!this.#composing) {
                this.#tidy();
            }
        });
        input.addEventListener('paste', event => {
            event.preventDefault();
            const text = event.clipboardData?.getData('text/plain') ?? '';
            if (text !== '' && this.enabled) {
                this.sink.paste(text);
            }
            this.#flushPaste();
        });
        addEventListener('blur', () => this.releaseAll());
        document.addEventListener('visibilitychange', () => document.hidden && this.releaseAll());
    }

    /** Lets the system's own keyboard come up on a device that has no other. */
    showOnScreen() {
        this.#touch = true;
        this.#fill();
        this.input.focus({ preventScroll: true });
        this.input.setSelectionRange(this.input.value.length, this.input.value.length);
    }

    hideOnScreen() {
        this.#touch = false;
        this.input.blur();
        this.#fill();
    }

    get onScreen() {
        return this.#touch && document.activeElement === this.input;
    }

    /**
     * Presses keys one after another and releases them backwards.
     *
     * @param {readonly number[]} keysyms
     */
    press(keysyms) {
        for (const keysym of keysyms) {
            this.#tell(keysym, true);
        }
        for (const keysym of [...keysyms].reverse()) {
            this.#tell(keysym, false);
        }
    }

    /**
     * @param {number} keysym of a modifier
     * @param {boolean} held until it is said otherwise, whatever has the focus
     */
    hold(keysym, held) {
        if (this.#sticky.has(keysym) !== held) {
            if (held) {
                this.#sticky.add(keysym);
            } else {
                this.#sticky.delete(keysym);
            }
            this.#tell(keysym, held);
        }
    }

    /** @param {string} text */
    type(text) {
        for (const character of text.replaceAll('\r\n', '\n')) {
            this.press([keysymOfCharacter(character)]);
        }
    }

    /** Releases what keys hold; not what the page's buttons do. */
    releaseAll() {
        clearTimeout(this.#control?.timer);
        this.#control = undefined;
        clearTimeout(this.#pasting?.timer);
        this.#pasting = undefined;
        this.#chord = false;
        for (const code of [...this.#held.keys()]) {
            this.#release(code);
        }
    }

    /** The session knows nothing of what was held: it is another connection. */
    forget() {
        this.#held.clear();
        this.#sticky.clear();
        this.releaseAll();
    }

    /**
     * @param {number} keysym
     * @param {boolean} down
     */
    #tell(keysym, down) {
        if (this.enabled) {
            this.sink.key(keysym, down);
        }
    }

    /**
     * @param {string} code
     * @param {number} keysym
     */
    #press(code, keysym) {
        const before = this.#held.get(code);
        if (before !== undefined && before !== keysym) {
            this.#tell(before, false);
        }
        this.#held.set(code, keysym);
        this.#tell(keysym, true);
    }

    /** @param {string} code */
    #release(code) {
        const keysym = this.#held.get(code);
        if (keysym !== undefined) {
            this.#held.delete(code);
            this.#tell(keysym, false);
        }
    }

    /**
     * Releases modifiers whose release nobody told the page: the system kept it for itself (Alt+Tab, Super+L).
     *
     * @param {KeyboardEvent | PointerEvent} event
     */
    reconcile(event) {
        for (const [name, codes] of MODIFIERS) {
            if (!event.getModifierState(name)) {
                for (const code of codes) {
                    if (this.#held.get(code) !== XK.ISO_Level3_Shift) {
                        this.#release(code);
                    }
                }
            }
        }
    }

    /** @param {KeyboardEvent} event which the text area gets by itself if it has the focus */
    down(event) {
        if (!this.enabled) {
            return;
        }
        if (event.isComposing || event.keyCode === 229 || event.key === 'Dead' || event.key === 'Process') {
            // An input method has it; its text comes by itself. Preventing a dead key's default would make it forget the accent.
            return;
        }
        this.#settleControl(event);
        this.#flushPaste();
        this.reconcile(event);
        const { key, code } = event;
        if (!isCharacter(key) && !/^[A-Za-z0-9]+$/.test(key)) {
            // A dead key that did not go with what followed: both at once.
            event.preventDefault();
            this.type(key);
            return;
        }
        let keysym = keysymOfKey(event);
        if (keysym === undefined) {
            if (key !== 'Unidentified') {
                event.preventDefault();
            }
            return;
        }
        if (code === 'AltRight' && (keysym === XK.ISO_Level3_Shift || event.getModifierState('AltGraph'))) {
            keysym = XK.ISO_Level3_Shift;
        }
        if (this.mac && this.commandIsControl && (keysym === XK.Super_L || keysym === XK.Super_R)) {
            keysym = keysym === XK.Super_L ? XK.Control_L : XK.Control_R;
        }
        if (this.windows && code === 'ControlLeft' && !event.repeat && !this.#held.has(code)) {
            event.preventDefault();
            const late = () => this.#settleControl(undefined);
            this.#control = { at: event.timeStamp, keysym, timer: setTimeout(late, ALTGR_MILLIS) };
            return;
        }
        if (this.#pastes(event)) {
            // The browser hands the clipboard over if it may do what it does with this key; the key goes after it.
            this.#pasting = { code, keysym, timer: setTimeout(() => this.#flushPaste(), PASTE_MILLIS) };
            return;
        }
        event.preventDefault();
        if (code === '' || (this.mac && event.metaKey && !(key in SINGLE_MODIFIERS))) {
            // No release comes: not from on-screen keyboards, and not on a Mac while Command is held.
            this.press([keysym]);
            return;
        }
        if (this.windows && isCharacter(key) && event.getModifierState('AltGraph') && this.#controlAndAlt().length === 2) {
            // Ctrl+Alt did what AltGr does: the character is meant, not a shortcut with it.
            const both = this.#controlAndAlt();
            both.forEach(keysymHeld => this.#tell(keysymHeld, false));
            this.press([keysym]);
            both.forEach(keysymHeld => this.#tell(keysymHeld, true));
            return;
        }
        this.#press(code, keysym);
    }

    /** @param {KeyboardEvent} event */
    #up(event) {
        if (!this.enabled) {
            return;
        }
        if (this.#control && event.code === 'ControlLeft') {
            this.#settleControl(undefined);
        }
        if (this.#pasting?.code === event.code) {
            this.#flushPaste();
        }
        if (event.code === 'PrintScreen' && !this.#held.has(event.code)) {
            // Windows tells only of its release.
            this.press([XK.Print]);
        }
        if (this.#held.has(event.code)) {
            event.preventDefault();
            this.#release(event.code);
        }
    }

    /** @returns {number[]} keysyms of a Ctrl and an Alt that are both held */
    #controlAndAlt() {
        const control = this.#held.get('ControlLeft') ?? this.#held.get('ControlRight');
        const alt = this.#held.get('AltLeft');
        return control !== undefined && alt !== undefined ? [control, alt] : [];
    }

    /**
     * Decides on a left Ctrl that may have been AltGr's shadow.
     *
     * @param {KeyboardEvent | undefined} next the key after it, if that came
     */
    #settleControl(next) {
        const control = this.#control;
        if (!control) {
            return;
        }
        clearTimeout(control.timer);
        this.#control = undefined;
        const shadow =
            next !== undefined &&
            next.code === 'AltRight' &&
            (next.key === 'AltGraph' || next.getModifierState('AltGraph') || next.key === 'Alt') &&
            next.timeStamp - control.at < ALTGR_MILLIS;
        if (!shadow) {
            this.#press('ControlLeft', control.keysym);
        }
    }

    /** @param {KeyboardEvent} event */
    #noteChord(event) {
        if (!(event.key in SINGLE_MODIFIERS)) {
            this.#chord = false;
        } else if (event.ctrlKey && event.altKey && event.shiftKey && !event.metaKey) {
            this.#chord = true;
        }
    }

    #endChord() {
        if (this.#chord) {
            this.releaseAll();
            this.sink.leave();
        }
    }

    /** @param {KeyboardEvent} event */
    #pastes(event) {
        const key = event.key.toLowerCase();
        const command = this.mac ? event.metaKey : event.ctrlKey;
        return !event.repeat && !event.altKey && ((command && key === 'v') || (event.shiftKey && key === 'insert'));
    }

    #flushPaste() {
        const pasting = this.#pasting;
        if (pasting) {
            clearTimeout(pasting.timer);
            this.#pasting = undefined;
            if (this.mac) {
                this.press([pasting.keysym]);
            } else {
                this.#press(pasting.code, pasting.keysym);
            }
        }
    }

    /** Types what the text area has now and had not before; takes back what it had. */
    #typed() {
        const value = this.input.value;
        const known = this.#known;
        let same = 0;
        while (same < value.length && same < known.length && value[same] === known[same]) {
            same++;
        }
        // Not between the halves of a character.
        if (same > 0 && /[\ud800-\udbff]/.test(value[same - 1] ?? '')) {
            same--;
        }
        this.#known = value;
        for (const _ of known.slice(same)) {
            this.press([XK.BackSpace]);
        }
        this.type(value.slice(same));
    }

    #tidy() {
        if (!this.#composing && (!this.#touch || this.input.value.length < FILLING.length / 2 || this.input.value.length > 512)) {
            this.#fill();
        }
    }

    #fill() {
        this.#known = this.#touch ? FILLING : '';
        if (this.input.value !== this.#known) {
            this.input.value = this.#known;
        }
    }
}

/** KeyboardEvent.key of modifiers. */
const SINGLE_MODIFIERS = Object.freeze({ Shift: 1, Control: 1, Alt: 1, AltGraph: 1, Meta: 1, OS: 1 });
