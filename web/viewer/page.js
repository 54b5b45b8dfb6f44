// @ts-check
/**
 * The page's own elements: index.html has them, the other modules ask for them here.
 */

/**
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function element(id, type) {
    const found = document.getElementById(id);
    if (!(found instanceof type)) {
        throw new Error(`The page has no ${type.name} “${id}”.`);
    }
    return found;
}

/**
 * @param {string} tag
 * @param {string} className
 * @param {string} [text]
 */
export function make(tag, className, text) {
    const made = document.createElement(tag);
    made.className = className;
    if (text !== undefined) {
        made.textContent = text;
    }
    return made;
}

/** @param {string} name of a symbol in index.html */
export function icon(name) {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
    use.setAttribute('href', `#icon-${name}`);
    svg.setAttribute('aria-hidden', 'true');
    svg.append(use);
    return svg;
}

/**
 * @param {Element} list a dl, which gets these and loses what it had
 * @param {ReadonlyArray<readonly [string, string | undefined]>} facts those without a value are left out
 */
export function showFacts(list, facts) {
    list.replaceChildren(
        ...facts.flatMap(([name, value]) => {
            if (!value) {
                return [];
            }
            const row = document.createElement('div');
            row.append(make('dt', '', name), make('dd', '', value));
            return [row];
        }),
    );
}

/**
 * Says something for some seconds.
 *
 * @param {string} text
 * @param {boolean} [problem]
 */
export function toast(text, problem = false) {
    const toasts = element('toasts', HTMLElement);
    while (toasts.childElementCount > 2) {
        toasts.firstElementChild?.remove();
    }
    const shown = make('p', problem ? 'toast problem' : 'toast', text);
    toasts.append(shown);
    setTimeout(() => shown.remove(), problem ? 8_000 : 4_000);
}

/** @param {number} count */
export function bytes(count) {
    const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
    let unit = 0;
    while (count >= 1000 && unit < units.length - 1) {
        count /= 1000;
        unit++;
    }
    return `${unit === 0 || count >= 100 ? Math.round(count) : count.toFixed(1)}\u00a0${units[unit]}`;
}

/** @param {string | undefined} iso */
export function when(iso) {
    const date = new Date(iso ?? '');
    if (Number.isNaN(date.getTime())) {
        return undefined;
    }
    const today = date.toDateString() === new Date().toDateString();
    return date.toLocaleString([], today ? { timeStyle: 'short' } : { dateStyle: 'medium', timeStyle: 'short' });
}

/** @param {string} iso */
export function ago(iso) {
    const seconds = (Date.now() - Date.parse(iso)) / 1000;
    if (!Number.isFinite(seconds)) {
        return 'At an unknown time';
    }
    /** @type {ReadonlyArray<readonly [number, Intl.RelativeTimeFormatUnit]>} */
    const steps = [
        [60, 'second'],
        [3600, 'minute'],
        [86400, 'hour'],
        [7 * 86400, 'day'],
    ];
    if (seconds < 10) {
        return 'Just now';
    }
    let size = 1;
    for (const [end, unit] of steps) {
        if (seconds < end) {
            const text = new Intl.RelativeTimeFormat('en').format(-Math.floor(seconds / size), unit);
            return text[0]?.toUpperCase() + text.slice(1);
        }
        size = end === 7 * 86400 ? size : end;
    }
    return when(iso) ?? '';
}

/**
 * The same within a sentence, and exactly.
 *
 * @param {string} iso
 */
export function agoInWords(iso) {
    const text = ago(iso);
    const exactly = when(iso);
    return text === exactly ? `on ${text}` : text[0]?.toLowerCase() + text.slice(1) + (exactly ? ` (${exactly})` : '');
}
