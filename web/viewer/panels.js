// @ts-check
/**
 * What the toolbar's panels do.
 */
import { keysymOfCharacter, XK } from './keysyms.js';
import { ago, agoInWords, bytes, element, icon, make, toast, when } from './page.js';
import * as service from './service.js';

/**
 * @typedef {import('./clipboard.js').Clipboard} Clipboard
 * @typedef {import('./keyboard.js').Keyboard} Keyboard
 * @typedef {import('./screen.js').Screen} Screen
 * @typedef {import('./screen.js').Mode} Mode
 * @typedef {import('./toolbar.js').Toolbar} Toolbar
 */

/**
 * Does something at the server and says if it failed.
 *
 * @template T
 * @param {HTMLElement} button shows that it is under way
 * @param {() => Promise<T>} action
 * @returns {Promise<{done: boolean, value?: T}>}
 */
async function attempt(button, action) {
    if (button.getAttribute('aria-busy') === 'true') {
        return { done: false };
    }
    button.setAttribute('aria-busy', 'true');
    try {
        return { done: true, value: await action() };
    } catch (error) {
        toast(error instanceof Error ? error.message : String(error), true);
        return { done: false };
    } finally {
        button.removeAttribute('aria-busy');
    }
}

/** What a person chose on this computer is so again the next time. */
const settings = {
    /** @param {string} name */
    get(name) {
        try {
            return localStorage.getItem(`satchel.${name}`);
        } catch {
            return null;
        }
    },
    /**
     * @param {string} name
     * @param {string} value
     */
    set(name, value) {
        try {
            localStorage.setItem(`satchel.${name}`, value);
        } catch {
            // Where nothing may be kept, it is chosen again.
        }
    },
};

/** @param {Screen} screen */
export function screenPanel(screen) {
    const modes = /** @type {HTMLInputElement[]} */ ([...document.querySelectorAll('input[name="mode"]')]);
    const chosen = modes.find(mode => mode.value === settings.get('mode'));
    for (const mode of modes) {
        mode.checked = chosen ? mode === chosen : mode.value === 'fit';
        mode.addEventListener('change', () => {
            settings.set('mode', mode.value);
            screen.setMode(/** @type {Mode} */ (mode.value));
        });
    }
    screen.setMode(/** @type {Mode} */ (chosen?.value ?? 'fit'));
    const crisp = element('crisp', HTMLInputElement);
    crisp.checked = settings.get('crisp') === 'true';
    screen.setCrisp(crisp.checked);
    crisp.addEventListener('change', () => {
        settings.set('crisp', String(crisp.checked));
        screen.setCrisp(crisp.checked);
    });
    const large = element('large', HTMLInputElement);
    // A phone's pixels are too small to work with.
    large.checked = (settings.get('large') ?? 'true') === 'true';
    screen.setLarge(large.checked);
    large.addEventListener('change', () => {
        settings.set('large', String(large.checked));
        screen.setLarge(large.checked);
    });
}

/** @param {Screen} screen */
export function showScreenFacts(screen) {
    element('large-row', HTMLElement).hidden = devicePixelRatio <= 1;
    element('fact-size', HTMLElement).textContent = `${screen.width} × ${screen.height}`;
    element('fact-scale', HTMLElement).textContent = `${Math.round(screen.scale * devicePixelRatio * 100)} %`;
}

/**
 * @param {Keyboard} keyboard
 * @param {Toolbar} toolbar
 */
export function keysPanel(keyboard, toolbar) {
    const functions = element('functions', HTMLElement);
    for (let i = 1; i <= 12; i++) {
        const button = make('button', '', `F${i}`);
        button.setAttribute('type', 'button');
        button.dataset.press = `F${i}`;
        functions.append(button);
    }
    for (const button of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('[data-press]'))) {
        const keysyms = (button.dataset.press ?? '').split(' ').map(keysymNamed);
        button.addEventListener('click', () => keyboard.press(keysyms));
    }
    for (const button of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('[data-hold]'))) {
        button.addEventListener('click', () => {
            const held = button.getAttribute('aria-pressed') !== 'true';
            button.setAttribute('aria-pressed', String(held));
            keyboard.hold(keysymNamed(button.dataset.hold ?? ''), held);
        });
    }
    const onScreen = element('on-screen', HTMLButtonElement);
    onScreen.hidden = !matchMedia('(any-pointer: coarse)').matches;
    onScreen.addEventListener('click', () => {
        toolbar.hide();
        keyboard.showOnScreen();
    });
    const command = element('command', HTMLInputElement);
    element('command-row', HTMLElement).hidden = !keyboard.mac;
    command.checked = settings.get('command') !== 'false';
    keyboard.commandIsControl = command.checked;
    command.addEventListener('change', () => {
        settings.set('command', String(command.checked));
        keyboard.commandIsControl = command.checked;
    });
}

/** The session holds none any more. */
export function forgetHolds() {
    document.querySelectorAll('[data-hold]').forEach(button => button.setAttribute('aria-pressed', 'false'));
}

/** @param {string} name */
function keysymNamed(name) {
    const functionKey = /^F(\d+)$/.exec(name);
    if (functionKey) {
        return XK.F1 - 1 + Number(functionKey[1]);
    }
    return name in XK ? XK[/** @type {keyof typeof XK} */ (name)] : keysymOfCharacter(name);
}

/**
 * @param {Clipboard} clipboard
 * @param {Toolbar} toolbar
 */
export function clipboardPanel(clipboard, toolbar) {
    const text = element('clip', HTMLTextAreaElement);
    const read = element('clip-read', HTMLButtonElement);
    toolbar.onOpen('panel-clipboard', () => {
        read.classList.toggle('unavailable', !clipboard.available);
    });
    element('clip-send', HTMLButtonElement).addEventListener('click', () => {
        if (clipboard.offer(text.value)) {
            toast('The session has the text: paste it there.');
            toolbar.closePanel();
        }
    });
    element('clip-copy', HTMLButtonElement).addEventListener('click', async () => {
        try {
            await navigator.clipboard.writeText(text.value);
            toast('Copied.');
        } catch {
            // The old way, which needs no permission.
            text.select();
            const copied = document.execCommand('copy');
            toast(copied ? 'Copied.' : 'The browser refused: press Ctrl + C now.', !copied);
        }
    });
    read.addEventListener('click', async () => {
        try {
            text.value = await clipboard.readNow();
            if (clipboard.offer(text.value)) {
                toast('The session has this computer’s text.');
            }
        } catch {
            toast('The browser keeps its clipboard: paste into the field instead.', true);
            text.focus();
        }
    });
}

/** How many entries of a directory are shown. */
const ENTRIES_MAX = 500;

/** @param {string} path in the session, as a person would say it */
const short = path => path.replace(/^\/(home\/[^/]+|root)\//, '');

/**
 * @param {Keyboard} keyboard whose text area files are not pasted into
 * @param {Toolbar} toolbar
 */
export function filesPanel(keyboard, toolbar) {
    const input = element('file', HTMLInputElement);
    const uploads = element('uploads', HTMLElement);
    const hint = element('drop-hint', HTMLElement);
    const allowed = () => !element('drop', HTMLElement).closest('[hidden]:not(.panel)') && keyboard.enabled;

    /** @param {Iterable<File>} files one after the other, so that each is there as soon as it can be */
    async function sendAll(files) {
        for (const file of files) {
            const row = make('li', '');
            const note = make('span', 'note', '0 %');
            const progress = document.createElement('progress');
            progress.max = 1;
            progress.value = 0;
            progress.setAttribute('aria-label', file.name);
            const cancel = make('button', 'small');
            cancel.setAttribute('type', 'button');
            cancel.setAttribute('aria-label', `Do not send ${file.name}`);
            cancel.append(icon('close'));
            row.append(make('span', 'title', file.name), note, cancel, progress);
            uploads.prepend(row);
            while (uploads.childElementCount > 5) {
                uploads.lastElementChild?.remove();
            }
            try {
                const { room } = await service.files('');
                if (file.size > room) {
                    throw new service.ServiceError(`“${file.name}” has ${bytes(file.size)}; there is room for ${bytes(room)}.`);
                }
                const sending = service.sendFile(file, share => {
                    progress.value = share;
                    note.textContent = `${Math.floor(share * 100)} %`;
                });
                cancel.addEventListener('click', sending.cancel);
                const path = short(await sending.done);
                note.textContent = `${path} · ${bytes(file.size)}`;
                toast(`“${file.name}” is in the session: ${path}`);
            } catch (error) {
                note.textContent = error instanceof service.CancelledError ? 'Not sent' : '';
                if (!(error instanceof service.CancelledError)) {
                    const problem = error instanceof Error ? error.message : String(error);
                    row.append(make('span', 'failed', problem));
                    toast(problem, true);
                }
            }
            progress.remove();
            if (cancel === document.activeElement) {
                input.focus();
            }
            cancel.remove();
        }
    }

    input.addEventListener('change', () => {
        const files = [...(input.files ?? [])];
        input.value = '';
        void sendAll(files);
    });
    let inside = 0;
    const isFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes('Files') ?? false;
    addEventListener('dragenter', event => {
        if (isFiles(event) && allowed()) {
            inside++;
            hint.hidden = false;
        }
    });
    addEventListener('dragleave', event => {
        if (isFiles(event)) {
            inside = Math.max(0, inside - 1);
            hint.hidden = inside === 0;
        }
    });
    // Without these the browser would leave the page for the file.
    addEventListener('dragover', event => event.preventDefault());
    addEventListener('drop', event => {
        event.preventDefault();
        inside = 0;
        hint.hidden = true;
        if (isFiles(event) && allowed()) {
            void sendAll([...(event.dataTransfer?.files ?? [])]);
        }
    });

    const form = element('fetch', HTMLFormElement);
    const path = element('path', HTMLInputElement);
    const list = element('entries', HTMLElement);
    const note = element('entries-note', HTMLElement);
    const fetchButton = /** @type {HTMLElement} */ (form.querySelector('button'));
    /** The directory that is shown. */
    let shown = '';

    /** @param {string} wanted */
    async function fetchFile(wanted) {
        const { done, value } = await attempt(fetchButton, async () => {
            try {
                await service.checkFile(wanted);
                return true;
            } catch (error) {
                // A directory may be meant.
                if (error instanceof service.ServiceError && error.status === 409 && (await show(wanted, true))) {
                    return false;
                }
                throw error;
            }
        });
        if (done && value) {
            const link = document.createElement('a');
            link.href = service.fileUrl(wanted);
            link.download = wanted.split('/').pop() || 'file';
            link.click();
        }
    }

    /**
     * Shows what is in a directory.
     *
     * @param {string} directory
     * @param {boolean} focus whether the keyboard goes there
     * @returns {Promise<boolean>} whether it is one
     */
    async function show(directory, focus) {
        /** @type {service.Listing} */
        let listing;
        try {
            listing = await service.files(directory);
        } catch (error) {
            note.textContent = error instanceof Error ? error.message : String(error);
            return false;
        }
        shown = listing.path;
        path.value = shown === listing.home ? '' : shown.startsWith(`${listing.home}/`) ? `${shown.slice(listing.home.length + 1)}/` : `${shown === '/' ? '' : shown}/`;
        const visible = listing.entries.filter(entry => !entry.name.startsWith('.'));
        visible.sort((a, b) => Number(b.type === 'directory') - Number(a.type === 'directory') || a.name.localeCompare(b.name, undefined, { numeric: true }));
        const rows = visible.slice(0, ENTRIES_MAX).map(entry => entryRow(entry.name, entry));
        if (shown !== '/') {
            rows.unshift(entryRow('..', { name: '..', type: 'directory' }));
        }
        list.replaceChildren(...rows);
        tabTo(0);
        const more = visible.length > ENTRIES_MAX || !listing.whole;
        note.textContent = visible.length === 0 ? 'Nothing is here.' : more ? 'There is more here: type its name above.' : '';
        if (focus) {
            entryButtons()[0]?.focus();
        }
        return true;
    }

    /**
     * @param {string} name
     * @param {service.Entry} entry
     */
    function entryRow(name, entry) {
        const item = make('li', '');
        const button = /** @type {HTMLButtonElement} */ (make('button', entry.type));
        button.type = 'button';
        button.disabled = entry.type === 'other';
        button.append(icon(name === '..' ? 'up' : entry.type === 'directory' ? 'files' : 'file'), make('span', 'title', name === '..' ? 'Up' : name));
        if (entry.type === 'file') {
            button.append(make('span', 'note', [bytes(entry.bytes ?? 0), when(entry.modified)].filter(Boolean).join(' · ')));
        }
        const whole = `${shown === '/' ? '' : shown}/${name}`;
        button.addEventListener('click', event => {
            void (entry.type === 'directory' ? show(whole, event.detail === 0) : fetchFile(whole));
        });
        item.append(button);
        return item;
    }

    const entryButtons = () => [...list.querySelectorAll('button')].filter(button => !button.disabled);

    /** One of them is reached by Tab, the others by arrows. @param {number} at */
    function tabTo(at) {
        entryButtons().forEach((button, i) => (button.tabIndex = i === at ? 0 : -1));
    }

    list.addEventListener('keydown', event => {
        const buttons = entryButtons();
        const at = buttons.indexOf(/** @type {any} */ (document.activeElement));
        const letter = event.key.length === 1 && !event.ctrlKey && !event.altKey && event.key !== ' ';
        const named = (/** @type {HTMLElement} */ button) => button.querySelector('.title')?.textContent?.toLowerCase().startsWith(event.key.toLowerCase());
        const to = letter
            ? [...buttons.slice(at + 1), ...buttons.slice(0, at + 1)].find(named)
            : { ArrowDown: buttons[at + 1], ArrowUp: buttons[at - 1], Home: buttons[0], End: buttons[buttons.length - 1] }[event.key];
        if (to) {
            event.preventDefault();
            tabTo(buttons.indexOf(to));
            to.focus();
        } else if (event.key === 'Backspace' || event.key === 'ArrowLeft') {
            event.preventDefault();
            void show(`${shown}/..`, true);
        }
    });
    toolbar.onOpen('panel-files', () => void show(shown, false));
    form.addEventListener('submit', async event => {
        event.preventDefault();
        const wanted = path.value.trim();
        if (wanted.endsWith('/')) {
            await show(wanted, true);
        } else {
            await fetchFile(wanted);
        }
    });
}

/**
 * Snapshot, history, going back, fork, suspend.
 *
 * @param {Toolbar} toolbar
 * @param {{offers: (action: string) => boolean, suspend: () => Promise<void>, goBack: (snapshot: string) => Promise<void>}} session
 */
export function sessionPanels(toolbar, session) {
    const snapshot = element('snapshot', HTMLButtonElement);
    snapshot.addEventListener('click', async () => {
        const { done } = await attempt(snapshot, service.snapshot);
        if (done) {
            toast('Snapshot made.');
        }
    });

    const suspend = element('suspend', HTMLButtonElement);
    suspend.addEventListener('click', async () => {
        const { done } = await attempt(suspend, session.suspend);
        if (done) {
            toolbar.closePanel();
        }
    });

    /** @type {string | undefined} */
    let from;
    const what = element('fork-what', HTMLElement);
    const now = what.textContent;
    const form = element('fork', HTMLFormElement);
    const doneCard = element('fork-done', HTMLElement);
    toolbar.onOpen('panel-fork', () => {
        from = undefined;
        what.textContent = now;
        form.hidden = false;
        doneCard.hidden = true;
    });
    const name = element('fork-name', HTMLInputElement);
    form.addEventListener('submit', async event => {
        event.preventDefault();
        const button = /** @type {HTMLElement} */ (form.querySelector('button'));
        const made = name.value.trim();
        const { done } = await attempt(button, () => service.fork(made, from));
        if (done) {
            form.reset();
            form.hidden = true;
            element('fork-done-name', HTMLElement).textContent = made;
            element('fork-done-command', HTMLElement).textContent = `satchel resume ${made}`;
            doneCard.hidden = false;
            /** @type {HTMLElement | null} */ (doneCard.querySelector('button'))?.focus();
        }
    });

    const note = element('history-note', HTMLElement);
    const list = element('snapshots', HTMLElement);
    const panel = element('panel-history', HTMLElement);
    /** The one that going back to was asked about last. @type {service.Snapshot | undefined} */
    let chosen;
    toolbar.onOpen('panel-history', async focus => {
        note.textContent = list.childElementCount === 0 ? 'Looking…' : '';
        try {
            const snapshots = await service.history();
            note.textContent = snapshots.length === 0 ? 'There is no snapshot of this session yet.' : '';
            const focused = !panel.hidden && (focus || list.contains(document.activeElement));
            list.replaceChildren(...snapshots.map(row));
            const current = list.children[Math.max(0, snapshots.findIndex(shot => shot.snapshot === chosen?.snapshot))];
            tabTo(current);
            if (focused) {
                (current?.querySelector('button') ?? list).focus();
            }
        } catch (error) {
            note.textContent = error instanceof Error ? error.message : String(error);
        }
    });

    /** A history may be long: one row is reached by Tab, the others by arrows. @param {Element | undefined} current */
    function tabTo(current) {
        const buttons = list.querySelectorAll('button');
        buttons.forEach(button => (button.tabIndex = current?.contains(button) ? 0 : -1));
        // Where there is nothing to be done, it can still be scrolled.
        list.tabIndex = buttons.length === 0 ? 0 : -1;
    }

    list.addEventListener('keydown', event => {
        const from = document.activeElement?.closest('li');
        const to = { ArrowDown: from?.nextElementSibling, ArrowUp: from?.previousElementSibling, Home: list.firstElementChild, End: list.lastElementChild }[event.key];
        if (from && to) {
            event.preventDefault();
            tabTo(to);
            const column = [...from.querySelectorAll('button')].indexOf(/** @type {any} */ (document.activeElement));
            to.querySelectorAll('button')[column]?.focus();
        }
    });

    const goBack = element('back', HTMLButtonElement);
    goBack.addEventListener('click', async () => {
        const to = chosen?.snapshot ?? '';
        const { done } = await attempt(goBack, () => session.goBack(to));
        if (done) {
            toolbar.closePanel();
        }
    });
    element('back-not', HTMLButtonElement).addEventListener('click', () => toolbar.openPanel('panel-history', true));

    /** @param {service.Snapshot} shot */
    function row(shot) {
        const item = make('li', '');
        const picture = make('span', 'picture');
        if (shot.thumbnail) {
            const image = new Image();
            image.alt = `The screen at ${when(shot.created) ?? 'that time'}`;
            image.loading = 'lazy';
            image.onerror = () => picture.replaceChildren(icon('screen'));
            image.src = service.thumbnailUrl(shot.snapshot);
            picture.append(image);
        } else {
            picture.append(icon('screen'));
        }
        const words = make('div', 'what');
        const title = make('b', '', shot.label || ago(shot.created));
        title.title = shot.snapshot;
        const details = [shot.label ? ago(shot.created) : when(shot.created), shot.kind, shot.bytes_new === undefined ? '' : `${bytes(shot.bytes_new)}\u00a0new`];
        words.append(title, make('span', 'note', details.filter(Boolean).join(' · ')));
        if (shot.windows?.length) {
            const windows = make('span', 'windows', shot.windows.join(' · '));
            windows.title = shot.windows.join('\n');
            words.append(windows);
        }
        const actions = make('div', 'actions');
        if (session.offers('suspend')) {
            const back = make('button', 'quiet');
            back.setAttribute('type', 'button');
            back.setAttribute('aria-label', `Go back to this: ${title.textContent}`);
            back.setAttribute('aria-haspopup', 'dialog');
            back.append(icon('history'), 'Go back to this');
            back.addEventListener('click', () => {
                chosen = shot;
                const then = `${shot.label ? `at “${shot.label}”, ` : ''}${agoInWords(shot.created)}`;
                element('back-what', HTMLElement).textContent = shot.checkpoint
                    ? `The session becomes what it was ${then}: its programs, and all of its files.`
                    : `The session gets the files back that it had ${then}, all of them, and boots: no programs were kept then.`;
                toolbar.openPanel('panel-back', true);
            });
            actions.append(back);
        }
        if (session.offers('fork')) {
            const fork = make('button', 'quiet');
            fork.setAttribute('type', 'button');
            fork.setAttribute('aria-label', `Fork from ${title.textContent}`);
            fork.append(icon('fork'), 'Fork from here');
            fork.addEventListener('click', event => {
                toolbar.openPanel('panel-fork', event.detail === 0);
                from = shot.snapshot;
                what.textContent = `A second session begins as this one was ${agoInWords(shot.created)}.`;
                name.focus();
            });
            actions.append(fork);
        }
        item.append(picture, words, actions);
        return item;
    }
}
