// @ts-check
/**
 * What lies over the screen when the session is not there: why, and how it goes on.
 */
import { element, showFacts, when } from './page.js';

/**
 * @typedef {object} Card
 * @property {string} icon
 * @property {string} title
 * @property {string} text
 * @property {ReadonlyArray<readonly [string, string | undefined]>} [facts]
 * @property {string} [problem] what failed when the action was tried
 * @property {boolean} [busy] something is under way
 * @property {string} [command] for a terminal
 * @property {string} [wait] what the page does meanwhile
 * @property {{label: string, act: () => void}} [action]
 */

export class Overlay {
    #overlay = element('overlay', HTMLElement);
    #pill = element('pill', HTMLElement);
    #button = element('overlay-action', HTMLButtonElement);
    /** What it lies over. The toolbar stays. */
    #behind = [element('stage', HTMLElement), element('keys', HTMLElement)];
    /** @type {(() => void) | undefined} */
    #act;

    constructor() {
        this.#button.addEventListener('click', () => this.#act?.());
    }

    get shown() {
        return !this.#overlay.hidden;
    }

    /** @param {Card} card */
    show(card) {
        const other = this.#overlay.hidden || this.#button.hidden !== (card.action === undefined);
        this.#pill.hidden = true;
        element('overlay-icon', SVGSVGElement).querySelector('use')?.setAttribute('href', `#icon-${card.icon}`);
        element('overlay-title', HTMLElement).textContent = card.title;
        element('overlay-text', HTMLElement).textContent = card.text;
        showFacts(element('overlay-facts', HTMLElement), card.facts ?? []);
        const problem = element('overlay-problem', HTMLElement);
        problem.hidden = !card.problem;
        // Said again only if it is another.
        const words = card.problem ? card.problem[0]?.toUpperCase() + card.problem.slice(1) : '';
        if (problem.textContent !== words) {
            problem.textContent = words;
        }
        this.#overlay.setAttribute('aria-busy', String(card.busy ?? false));
        const command = element('overlay-command', HTMLElement);
        command.hidden = !card.command;
        const code = command.querySelector('code');
        if (code) {
            code.textContent = card.command ?? '';
        }
        element('overlay-wait', HTMLElement).textContent = card.wait ?? '';
        this.#act = card.action?.act;
        this.#button.hidden = !card.action;
        this.#button.textContent = card.action?.label ?? '';
        this.#cover(true);
        if (other) {
            this.focus();
        }
    }

    /** Who uses the keyboard gets to what it offers, if it does. */
    focus() {
        (this.#button.hidden ? this.#overlay : this.#button).focus({ preventScroll: true });
    }

    /** @param {boolean} covering */
    #cover(covering) {
        this.#overlay.hidden = !covering;
        for (const part of this.#behind) {
            part.inert = covering;
        }
    }

    /** @param {boolean} busy */
    setBusy(busy) {
        this.#button.disabled = busy;
    }

    /** @param {string} text while the picture stays to be seen */
    note(text) {
        this.#cover(false);
        const words = this.#pill.querySelector('span');
        if (words && words.textContent !== text) {
            words.textContent = text;
        }
        this.#pill.hidden = false;
    }

    clear() {
        this.#cover(false);
        this.#pill.hidden = true;
        this.#button.disabled = false;
    }
}

/**
 * What is known of a session, for a person.
 *
 * @param {import('./service.js').Session | undefined} session
 * @returns {Array<readonly [string, string | undefined]>}
 */
export function sessionFacts(session) {
    return [
        ['Session', session?.name],
        ['Image', session?.image],
        ['Created', when(session?.created)],
    ];
}
