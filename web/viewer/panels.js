// @ts-check
/**
 * What the toolbar's panels do.
 */
import { keysymOfCharacter, XK } from './keysyms.js';
import { ago, bytes, element, icon, make, toast, when } from './page.js';
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

/** @param {Keyboard} keyboard whose text area files are not pasted into */
export function filesPanel(keyboard) {
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
            row.append(make('span', 'title', file.name), note, progress);
            uploads.prepend(row);
            while (uploads.childElementCount > 5) {
                uploads.lastElementChild?.remove();
            }
            try {
                await service.sendFile(file, share => {
                    progress.value = share;
                    note.textContent = `${Math.floor(share * 100)} %`;
                });
                note.textContent = bytes(file.size);
                progress.remove();
                toast(`“${file.name}” is in the session’s Downloads.`);
            } catch (error) {
                const problem = error instanceof Error ? error.message : String(error);
                progress.remove();
                note.textContent = '';
                row.append(make('span', 'failed', problem));
                toast(problem, true);
            }
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
    form.addEventListener('submit', async event => {
        event.preventDefault();
        const wanted = path.value.trim();
        const button = /** @type {HTMLElement} */ (form.querySelector('button'));
        const { done } = await attempt(button, () => service.checkFile(wanted));
        if (done) {
            const link = document.createElement('a');
            link.href = service.fileUrl(wanted);
            link.download = wanted.split('/').pop() || 'file';
            link.click();
        }
    });
}

/**
 * Snapshot, history, fork, suspend.
 *
 * @param {Toolbar} toolbar
 * @param {{offers: (action: string) => boolean}} session
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
        const { done } = await attempt(suspend, service.suspend);
        if (done) {
            toolbar.closePanel();
        }
    });

    /** @type {string | undefined} */
    let from;
    const what = element('fork-what', HTMLElement);
    const now = what.textContent;
    toolbar.onOpen('panel-fork', () => {
        from = undefined;
        what.textContent = now;
    });
    const form = element('fork', HTMLFormElement);
    const name = element('fork-name', HTMLInputElement);
    form.addEventListener('submit', async event => {
        event.preventDefault();
        const button = /** @type {HTMLElement} */ (form.querySelector('button'));
        const { done } = await attempt(button, () => service.fork(name.value.trim(), from));
        if (done) {
            toast(`Session “${name.value.trim()}” is there.`);
            form.reset();
            toolbar.closePanel();
        }
    });

    const note = element('history-note', HTMLElement);
    const list = element('snapshots', HTMLElement);
    toolbar.onOpen('panel-history', async () => {
        note.textContent = list.childElementCount === 0 ? 'Looking…' : '';
        try {
            const snapshots = await service.history();
            note.textContent = snapshots.length === 0 ? 'There is no snapshot of this session yet.' : '';
            list.replaceChildren(...snapshots.map(row));
        } catch (error) {
            note.textContent = error instanceof Error ? error.message : String(error);
        }
    });

    /** @param {service.Snapshot} shot */
    function row(shot) {
        const item = make('li', '');
        const picture = make('span', 'picture');
        const image = new Image();
        image.alt = `The screen at ${when(shot.created) ?? 'that time'}`;
        image.loading = 'lazy';
        image.onerror = () => picture.replaceChildren(icon('screen'));
        image.src = service.thumbnailUrl(shot.snapshot);
        picture.append(image);
        const words = make('div', 'what');
        const title = make('b', '', shot.label || ago(shot.created));
        title.title = shot.snapshot;
        const details = [shot.label ? ago(shot.created) : when(shot.created), shot.kind, shot.bytes_new === undefined ? '' : `${bytes(shot.bytes_new)}\u00a0new`];
        words.append(title, make('span', 'note', details.filter(Boolean).join(' · ')));
        if (session.offers('fork')) {
            const fork = make('button', 'quiet');
            fork.setAttribute('type', 'button');
            fork.setAttribute('aria-label', `Fork from ${title.textContent}`);
            fork.append(icon('fork'), 'Fork from here');
            fork.addEventListener('click', event => {
                toolbar.openPanel('panel-fork', event.detail === 0);
                from = shot.snapshot;
                what.textContent = `A second session begins as this one was ${ago(shot.created).toLowerCase()}.`;
                name.focus();
            });
            words.append(fork);
        }
        item.append(picture, words);
        return item;
    }
}
