// @ts-check
/**
 * The bar at the top: comes when it is wanted, goes when it is not, and has the panels below it. By keyboard as WAI-ARIA's toolbar
 * pattern has it: arrows within it, Escape out of it.
 */
import { element } from './page.js';

/** How long it stays after the pointer has left it. */
const LEAVE_MILLIS = 900;
const FIRST_MILLIS = 4_000;
/** How long the pointer rests at the upper edge before it comes. */
const EDGE_MILLIS = 120;

export class Toolbar {
    #top = element('top', HTMLElement);
    #bar = element('bar', HTMLElement);
    #handle = element('handle', HTMLButtonElement);
    #pin = element('pin', HTMLButtonElement);
    /** @type {HTMLElement | undefined} */
    #panel;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #leaving;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #coming;
    /** @type {Map<string, (focus: boolean) => void>} */
    #opened = new Map();

    /** @param {{shown: (shown: boolean) => void, left: () => void}} listener `left`: the keyboard goes back to the session */
    constructor(listener) {
        this.listener = listener;
        this.#handle.addEventListener('click', event => this.show(event.detail === 0));
        this.#handle.addEventListener('pointerenter', event => event.pointerType === 'mouse' && this.#comeSoon());
        this.#handle.addEventListener('pointerleave', () => clearTimeout(this.#coming));
        this.#top.addEventListener('pointerenter', () => clearTimeout(this.#leaving), true);
        this.#top.addEventListener('pointerleave', event => event.pointerType === 'mouse' && this.#leaveSoon());
        this.#top.addEventListener('focusin', () => clearTimeout(this.#leaving));
        this.#top.addEventListener('keydown', event => this.#key(event));
        this.#pin.addEventListener('click', () => this.pin(!this.pinned));
        for (const button of this.#bar.querySelectorAll('button')) {
            const tip = button.dataset.tip;
            if (tip) {
                button.setAttribute('aria-label', tip);
            }
            const id = button.dataset.panel;
            if (id) {
                button.setAttribute('aria-expanded', 'false');
                button.setAttribute('aria-controls', id);
                button.setAttribute('aria-haspopup', 'dialog');
                button.addEventListener('click', event => {
                    if (this.#panel?.id === id) {
                        this.closePanel();
                    } else {
                        this.openPanel(id, event.detail === 0);
                    }
                });
            }
        }
        for (const button of this.#top.querySelectorAll('[data-close]')) {
            button.addEventListener('click', () => this.closePanel());
        }
    }

    get shown() {
        return !this.#top.classList.contains('away');
    }

    get pinned() {
        return document.body.classList.contains('pinned');
    }

    /**
     * @param {string} id of a panel
     * @param {(focus: boolean) => void} opened called each time before it is seen; `focus`: whether the keyboard goes into it
     */
    onOpen(id, opened) {
        this.#opened.set(id, opened);
    }

    /** @param {boolean} [focus] whether the keyboard goes there */
    show(focus = false) {
        clearTimeout(this.#leaving);
        clearTimeout(this.#coming);
        if (!this.shown) {
            this.#top.classList.remove('away');
            this.#bar.inert = false;
            this.#handle.setAttribute('aria-expanded', 'true');
            this.listener.shown(true);
        }
        const buttons = this.#buttons();
        buttons.forEach((button, i) => (button.tabIndex = i === 0 ? 0 : -1));
        if (focus) {
            buttons[0]?.focus();
        }
    }

    hide() {
        if (this.pinned) {
            return;
        }
        clearTimeout(this.#leaving);
        this.closePanel();
        if (this.shown) {
            if (this.#bar.contains(document.activeElement)) {
                this.listener.left();
            }
            this.#top.classList.add('away');
            this.#bar.inert = true;
            this.#handle.setAttribute('aria-expanded', 'false');
            this.listener.shown(false);
        }
    }

    /** Shows it at first, so that people know of it. */
    introduce() {
        this.show();
        this.#leaving = setTimeout(() => this.#leave(), FIRST_MILLIS);
    }

    /** @param {boolean} pinned */
    pin(pinned) {
        document.body.classList.toggle('pinned', pinned);
        this.#pin.setAttribute('aria-pressed', String(pinned));
        if (pinned) {
            this.show();
        }
    }

    /** The pointer is on the screen, or was pressed there: whoever works there does not want the bar. */
    worked() {
        clearTimeout(this.#coming);
        if (this.shown) {
            this.closePanel();
            this.#leaveSoon();
        }
    }

    /**
     * @param {string} id
     * @param {boolean} [focus] whether the keyboard goes into it
     */
    openPanel(id, focus = false) {
        this.closePanel();
        this.show();
        const panel = element(id, HTMLElement);
        this.#opened.get(id)?.(focus);
        panel.hidden = false;
        this.#panel = panel;
        this.#buttonOf(id)?.setAttribute('aria-expanded', 'true');
        this.#place(panel);
        if (focus) {
            /** @type {HTMLElement | null} */ (
                panel.querySelector(':is(input:checked, textarea, input:not([type]), button:not([hidden]), input):not([hidden] *)')
            )?.focus();
        }
    }

    closePanel() {
        const panel = this.#panel;
        if (panel) {
            const button = this.#buttonOf(panel.id);
            if (panel.contains(document.activeElement)) {
                button?.focus({ preventScroll: true });
            }
            panel.hidden = true;
            this.#panel = undefined;
            button?.setAttribute('aria-expanded', 'false');
        }
    }

    /**
     * Its own, or that of the panel it is reached from.
     *
     * @param {string} id of a panel
     */
    #buttonOf(id) {
        return /** @type {HTMLElement | null} */ (this.#bar.querySelector(`[data-panel="${element(id, HTMLElement).dataset.from ?? id}"]`));
    }

    /**
     * Below its button, as far as the window has room.
     *
     * @param {HTMLElement} panel
     */
    #place(panel) {
        const button = this.#buttonOf(panel.id)?.getBoundingClientRect();
        const middle = button ? button.left + button.width / 2 : innerWidth / 2;
        const left = Math.max(8, Math.min(innerWidth - panel.offsetWidth - 8, middle - panel.offsetWidth / 2));
        const top = this.#bar.offsetTop + this.#bar.offsetHeight + 8;
        panel.style.left = `${left}px`;
        panel.style.top = `${top}px`;
        panel.style.maxHeight = `${innerHeight - top - 8}px`;
    }

    #comeSoon() {
        clearTimeout(this.#coming);
        this.#coming = setTimeout(() => this.show(), EDGE_MILLIS);
    }

    #leaveSoon() {
        clearTimeout(this.#leaving);
        this.#leaving = setTimeout(() => this.#leave(), LEAVE_MILLIS);
    }

    /** Unless somebody is in it. */
    #leave() {
        if (this.#panel || this.#top.matches(':hover') || this.#top.querySelector(':focus-visible')) {
            return;
        }
        this.hide();
    }

    /** Those that can be used, from the left. */
    #buttons() {
        return [...this.#bar.querySelectorAll('button')].filter(button => !button.disabled && button.offsetParent !== null);
    }

    /** @param {KeyboardEvent} event */
    #key(event) {
        if (event.key === 'Escape') {
            event.preventDefault();
            if (this.#panel) {
                const button = this.#buttonOf(this.#panel.id);
                this.closePanel();
                button?.focus();
            } else {
                this.listener.left();
                this.hide();
            }
            return;
        }
        const at = this.#bar.contains(document.activeElement) ? this.#buttons().indexOf(/** @type {any} */ (document.activeElement)) : -1;
        if (at < 0) {
            return;
        }
        const buttons = this.#buttons();
        const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
        if (to !== undefined) {
            event.preventDefault();
            this.#focus(buttons, (to + buttons.length) % buttons.length);
        } else if (event.key === 'ArrowDown' && buttons[at]?.dataset.panel) {
            event.preventDefault();
            this.openPanel(buttons[at].dataset.panel ?? '', true);
        }
    }

    /**
     * @param {HTMLElement[]} buttons
     * @param {number} at
     */
    #focus(buttons, at) {
        buttons.forEach((button, i) => (button.tabIndex = i === at ? 0 : -1));
        buttons[at]?.focus();
    }
}
