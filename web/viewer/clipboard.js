// @ts-check
/**
 * Text between this computer's clipboard and the session's: by itself where the browser allows it, else by the panel's text area.
 */
import { clipboard } from './messages.js';

/**
 * @typedef {object} Sink
 * @property {(message: ArrayBuffer) => void} send
 * @property {(text: string) => void} show the text that both shall have, for a person to see
 * @property {(problem: string) => void} tell
 */

export class Clipboard {
    enabled = false;
    /** What was sent to or came from the session last: nothing goes round in a circle. */
    #shared = '';
    /** The same of the connections before. */
    #sharedBefore = '';
    /** Whether the session got text from here on this connection. */
    #offered = false;
    /** From the session, refused by the browser so far. @type {string | undefined} */
    #pending;
    /** Whether the browser may be asked at any time, as a person has allowed. */
    #mayRead = false;

    /** @param {Sink} sink */
    constructor(sink) {
        this.sink = sink;
        addEventListener('focus', () => void this.#read());
        // Browsers take what a page writes only soon after a person did something in it.
        for (const type of ['pointerup', 'keyup']) {
            addEventListener(type, () => void this.#write(), { capture: true, passive: true });
        }
        void this.#followPermission();
    }

    /** Whether this browser can be asked for the clipboard at all. */
    get available() {
        return Boolean(navigator.clipboard?.readText);
    }

    get mayRead() {
        return this.#mayRead;
    }

    async #followPermission() {
        try {
            // Chromium's name; other browsers know no such permission and are left to paste events.
            const status = await navigator.permissions.query({ name: /** @type {PermissionName} */ ('clipboard-read') });
            const update = () => (this.#mayRead = status.state === 'granted');
            status.addEventListener('change', update);
            update();
            void this.#read();
        } catch {
            this.#mayRead = false;
        }
    }

    /**
     * Text of the session's programs.
     *
     * @param {string} text
     * @param {boolean} there whether it was before this connection
     */
    received(text, there) {
        if (text === this.#shared) {
            return;
        }
        if (there && this.#offered) {
            return; // they crossed on their way: the session has what is here
        }
        this.#shared = text;
        this.sink.show(text);
        // Who comes to a session has something to paste there, perhaps: it is not overwritten by what was copied in it before.
        if (!there || (this.#sharedBefore !== '' && this.#sharedBefore !== text)) {
            this.#pending = text;
            void this.#write();
        }
    }

    /**
     * Text of this computer.
     *
     * @param {string} text
     * @returns {boolean} whether the session has it now
     */
    offer(text) {
        return this.#send(text, true);
    }

    /**
     * @param {string} text
     * @param {boolean} again even if it was sent before: only the session knows whether it has it still
     */
    #send(text, again) {
        if (!this.enabled) {
            return false;
        }
        if (again || text !== this.#shared) {
            const message = clipboard(text);
            if (!message) {
                this.sink.tell('That text is longer than 1 MiB: send it as a file.');
                return false;
            }
            this.#shared = text;
            this.#offered = true;
            this.#pending = undefined;
            this.sink.show(text);
            this.sink.send(message);
        }
        return true;
    }

    /** A connection has begun: the session may be another, or have forgotten what it was told. */
    forget() {
        this.#sharedBefore = this.#shared || this.#sharedBefore;
        this.#shared = '';
        this.#offered = false;
        void this.#read();
    }

    /** Asks the browser, which may ask the person. */
    async readNow() {
        const text = await navigator.clipboard.readText();
        this.#mayRead = true;
        return text;
    }

    async #read() {
        if (!this.#mayRead || !this.enabled || !document.hasFocus()) {
            return;
        }
        try {
            const text = await navigator.clipboard.readText();
            if (text !== '') {
                this.#send(text, false);
            }
        } catch {
            // The page has lost the focus meanwhile, or there is no text: the next time, then.
        }
    }

    async #write() {
        const text = this.#pending;
        if (text === undefined || !navigator.clipboard?.writeText) {
            return;
        }
        this.#pending = undefined;
        try {
            await navigator.clipboard.writeText(text);
        } catch {
            this.#pending ??= text;
        }
    }
}
