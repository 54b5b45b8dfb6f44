// @ts-check
/**
 * The viewer: puts its parts together.
 */
import { apply } from './decode.js';
import { Clipboard } from './clipboard.js';
import { Connection } from './connection.js';
import { Cursor } from './cursor.js';
import { Keyboard } from './keyboard.js';
import * as messages from './messages.js';
import { Overlay, sessionFacts } from './overlay.js';
import { element, toast, when } from './page.js';
import { clipboardPanel, filesPanel, forgetHolds, keysPanel, screenPanel, sessionPanels, showScreenFacts } from './panels.js';
import { Pointer } from './pointer.js';
import { QualityView } from './quality.js';
import { Screen } from './screen.js';
import * as service from './service.js';
import { Toolbar } from './toolbar.js';

/**
 * @typedef {import('./connection.js').Status} Status
 * @typedef {import('./messages.js').ServerMessage} ServerMessage
 * @typedef {import('./messages.js').SessionState} SessionState
 */

/** A short gap in the connection is not worth a word. */
const QUIET_MILLIS = 800;
/** So many of a snapshot's id name it to a person, as the command line prints it. */
const ID_DIGITS = 12;

const stage = element('stage', HTMLElement);
const canvas = element('screen', HTMLCanvasElement);
const keys = element('keys', HTMLTextAreaElement);
const clip = element('clip', HTMLTextAreaElement);

/** Of the session, as far as it has said. @type {{state: SessionState, text: string, since: Date}} */
let state = { state: 'running', text: '', since: new Date() };
/** @type {Status} */
let status = 'connecting';
/** @type {messages.Hello | undefined} */
let hello;
/** @type {service.Session | undefined} */
let session;
/** Who of those that may control does. @type {messages.Controls} */
let controls = 'all';
/** Whether this page is one of those that control now. */
let mine = false;
/** See {@link takeInput}. */
let taking = false;
/** Why it could not be resumed when that was tried last. */
let problem = '';
/** The snapshot that somebody chose here to go back to, until who answers can resume the session at it. @type {string | undefined} */
let back;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let quiet;

document.body.classList.add('blank');

const quality = new QualityView();
const overlay = new Overlay();
const cursor = new Cursor(canvas);
const url = new URL('/stream', location.href);
url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
const connection = new Connection(
    url,
    {
        message: received,
        status: changed,
        quality: measured => quality.add(measured),
        window: () => screen.windowPixels(),
    },
    service.probe,
);
const screen = new Screen(stage, canvas, {
    resize: (width, height) => {
        if (hello?.control) {
            connection.send(messages.resize(Math.min(width, hello.widthMax), Math.min(height, hello.heightMax)));
        }
    },
    scaled: scale => {
        cursor.setScale(scale);
        showScreenFacts(screen);
    },
});
const clipboard = new Clipboard({
    send: message => connection.send(message),
    show: text => (clip.value = text),
    tell: problem => toast(problem, true),
});
const platform = /** @type {any} */ (navigator).userAgentData?.platform || navigator.platform;
const keyboard = new Keyboard(
    keys,
    {
        key: (keysym, down) => connection.send(messages.key(keysym, down)),
        paste: text => clipboard.offer(text),
        leave: () => toolbar.show(true),
    },
    platform,
);
const pointer = new Pointer(canvas, screen, {
    pointer: (x, y, buttons) => connection.send(messages.pointer(x, y, buttons)),
    pressed: event => {
        keyboard.reconcile(event);
        toolbar.worked();
        if (event.pointerType !== 'touch') {
            focusSession();
        }
        // Where an input method shows what it is about to write.
        keys.style.left = `${event.clientX}px`;
        keys.style.top = `${event.clientY}px`;
    },
    longPress: ripple,
});
const toolbar = new Toolbar({
    shown: shown => connection.watch(shown),
    left: focusSession,
});

screenPanel(screen);
keysPanel(keyboard, toolbar);
clipboardPanel(clipboard, toolbar);
filesPanel(keyboard, toolbar);
sessionPanels(toolbar, { offers, suspend, goBack });
fullScreen();
element('alone', HTMLButtonElement).addEventListener('click', () => connection.send(messages.control(controls !== 'alone')));
offerControls();
toolbar.introduce();
connection.connect();
focusSession();
addEventListener('focus', () => {
    if (document.activeElement === document.body) {
        focusSession();
    }
});
// A keyboard on a device for touch, or whatever else took the focus away: who types, types into the session.
addEventListener('keydown', event => {
    if (document.activeElement === document.body) {
        keys.focus({ preventScroll: true });
        keyboard.down(event);
    }
});
// Beside the session's screen.
stage.addEventListener('pointerdown', event => {
    if (event.target === stage) {
        toolbar.worked();
        focusSession();
    }
});
// What an on-screen keyboard lies over is not seen: the screen moves above it.
visualViewport?.addEventListener('resize', () => {
    const covered = keyboard.onScreen ? innerHeight - (visualViewport?.height ?? innerHeight) : 0;
    screen.setCovered(Math.max(0, covered));
});

/** The keyboard goes to the session, or to what lies over it; not where that would bring an on-screen keyboard up that nobody asked for. */
function focusSession() {
    if (overlay.shown) {
        overlay.focus();
        return;
    }
    const touchOnly = matchMedia('(any-pointer: coarse)').matches && !matchMedia('(any-pointer: fine)').matches;
    if (!touchOnly) {
        keys.focus({ preventScroll: true });
    } else if (document.activeElement !== keys) {
        /** @type {HTMLElement | null} */ (document.activeElement)?.blur?.();
    }
}

/**
 * @param {ServerMessage} message
 * @returns {void | Promise<void>}
 */
function received(message) {
    switch (message.type) {
        case 'hello':
            return welcomed(message);
        case 'update':
            return drawn(message);
        case 'size':
            return screen.setSize(message.width, message.height);
        case 'cursor':
            return cursor.show(message);
        case 'clipboard':
            return clipboard.received(message.text, message.there);
        case 'state':
            return stateChanged(message);
        case 'controls':
            return controlled(message.controls);
        case 'bell':
            return ring();
    }
}

/** @param {messages.Update} update */
async function drawn(update) {
    await apply(update.commands, screen.surface);
    document.body.classList.remove('blank');
}

/** @param {messages.Hello} said */
async function welcomed(said) {
    hello = said;
    if (said.width > 0) {
        // Running is not told, another state is, right after this; where there is no display it always is.
        state = { state: 'running', text: '', since: new Date() };
        problem = '';
        back = undefined;
    }
    document.title = `${said.name} – Satchel`;
    element('name', HTMLElement).textContent = said.name;
    canvas.setAttribute('aria-label', `The screen of session ${said.name}`);
    controlled('all');
    keyboard.forget();
    forgetHolds();
    clipboard.forget();
    showState();
    void learn();
    if (said.width > 0) {
        await screen.setSize(said.width, said.height);
        screen.askAgain();
    }
}

/** @param {messages.Controls} by */
function controlled(by) {
    const before = controls;
    controls = by;
    mine = hello?.control === true && by !== 'another';
    if (!mine) {
        // The server has released what was held down here.
        keyboard.forget();
        forgetHolds();
    }
    const button = element('alone', HTMLButtonElement);
    button.setAttribute('aria-pressed', String(by === 'alone'));
    button.dataset.tip = { all: 'Control alone', alone: 'Let all control', another: 'Take control' }[by];
    button.setAttribute('aria-label', button.dataset.tip);
    button.classList.toggle('calls', by === 'another');
    if (by === 'another') {
        toast('Somebody else has taken control: you are looking on.');
    } else if (before === 'another') {
        toast('You can work here again.');
    }
    showState();
}

/** Asks the server what it offers; the page shows nothing that it does not. */
async function learn() {
    try {
        session = await service.session();
    } catch (error) {
        console.warn('The session said nothing of itself:', error);
    }
    offerControls();
    goOn();
}

/** @param {string} action */
function offers(action) {
    return session?.actions.includes(action) ?? false;
}

function offerControls() {
    const control = hello?.control ?? true;
    for (const part of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('[data-action], [data-control]'))) {
        const actions = part.dataset.action?.split(' ');
        part.hidden = (actions !== undefined && !actions.some(offers)) || (part.dataset.control !== undefined && !control);
    }
    if (!clipboard.available) {
        element('clip-read', HTMLElement).hidden = true;
    }
    clip.readOnly = !control;
    showState();
}

/** @param {messages.State} said */
function stateChanged(said) {
    if (said.state !== state.state || said.text !== state.text) {
        // Resuming that failed leaves it as it was since.
        const since = said.state === 'suspended' && state.state === 'resuming' ? state.since : new Date();
        state = { state: said.state, text: said.text, since: said.state === 'resuming' ? state.since : since };
    }
    if (said.state !== 'running') {
        pointer.releaseAll();
        keyboard.releaseAll();
    }
    showState();
    goOn();
}

/**
 * @param {Status} now
 * @param {string} reason
 */
function changed(now, reason) {
    const before = status;
    status = now;
    if (before === 'open' && now !== 'open') {
        console.info('The connection ended:', reason);
        quality.clear();
        pointer.releaseAll();
        keyboard.forget();
        forgetHolds();
    }
    showState();
}

/** Brings together what the session and the connection are like. */
function showState() {
    const open = status === 'open';
    const name = hello?.name ?? session?.name ?? '';
    const [words, colour] = stateWords();
    element('state-text', HTMLElement).textContent = words;
    element('state', HTMLElement).dataset.state = colour;
    const there = open && state.state === 'running';
    const covered = overlay.shown;
    document.body.classList.toggle('stale', !there);
    // What needs the session can't be had without it.
    for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll('#bar button:is([data-action], [data-control])'))) {
        button.disabled = !there;
    }
    clearTimeout(quiet);
    if (status === 'refused') {
        overlay.show({
            icon: 'link',
            title: 'This link has ended',
            text: 'The session was stopped, goes on elsewhere, or was suspended for more than twelve hours. A new link is printed by:',
            command: `satchel view ${name}`.trim(),
        });
    } else if (state.state === 'resuming') {
        overlay.show({
            icon: 'suspend',
            title: open ? 'Resuming…' : 'Almost there…',
            text: state.text || 'It goes on where it was.',
            facts: sessionFacts(session ?? { name, actions: [] }),
            busy: true,
        });
    } else if (state.state === 'suspended' || (state.state === 'suspending' && !open)) {
        const here = resumable();
        overlay.show({
            icon: 'suspend',
            title: 'Suspended',
            text: (state.state === 'suspended' && state.text) || 'Everything is kept as it was.',
            facts: [...sessionFacts(session ?? { name, actions: [] }), ['Suspended', when(state.since.toISOString())]],
            problem,
            busy: back !== undefined,
            command: here || !name ? undefined : `satchel resume ${name}${back ? ` --at ${back.slice(0, ID_DIGITS)}` : ''}`,
            wait: here
                ? ''
                : back
                  ? 'Now it goes back to the snapshot. If nobody answers here, this command does it.'
                  : 'This page goes on by itself once the session is resumed here.',
            action: here ? { label: 'Resume', act: () => void resume() } : undefined,
        });
    } else if (state.state === 'suspending') {
        overlay.note(state.text || 'Suspending…');
    } else if (state.state === 'stopped') {
        overlay.show({
            icon: 'screen',
            title: 'Stopped',
            text: state.text || 'The session has ended.',
            facts: sessionFacts(session ?? { name, actions: [] }),
            wait: 'This page goes on by itself if the session is started here again.',
        });
    } else if (open && state.state === 'lost') {
        overlay.note(state.text || 'The display server ended; it is tried again…');
    } else if (open && state.state === 'stalled') {
        overlay.note(state.text || 'It stands still for a moment…');
    } else if (open) {
        overlay.clear();
    } else if (hello) {
        // The picture stays; most gaps are over before anybody reads about them.
        quiet = setTimeout(() => {
            overlay.note('Reconnecting…');
            takeInput(false);
        }, QUIET_MILLIS);
    } else {
        quiet = setTimeout(() => overlay.note('Connecting…'), QUIET_MILLIS);
    }
    if (overlay.shown) {
        clearTimeout(quiet);
        toolbar.hide();
    } else if (covered) {
        focusSession();
    }
    takeInput(!overlay.shown && (open ? state.state !== 'lost' : taking));
}

/**
 * Whether keys, pointer and clipboard are the session's. Not where somebody was told that it is not there: then they are the browser's, so
 * that a page can be loaded again, or left. What is pressed in a gap that is soon over is not: Ctrl+W was meant for the session.
 *
 * @param {boolean} there
 */
function takeInput(there) {
    taking = there;
    for (const part of [pointer, keyboard, clipboard]) {
        part.enabled = mine && there;
    }
}

/** @returns {[string, string]} for the toolbar: words, and how good that is */
function stateWords() {
    if (state.state === 'suspended') {
        return ['Suspended', 'rest'];
    }
    if (state.state === 'resuming') {
        return ['Resuming', 'warn'];
    }
    if (state.state === 'suspending') {
        return ['Suspending', 'rest'];
    }
    if (state.state === 'stopped') {
        return ['Stopped', 'bad'];
    }
    if (status === 'refused') {
        return ['Link ended', 'bad'];
    }
    if (status !== 'open') {
        return [hello ? 'Reconnecting' : 'Connecting', 'warn'];
    }
    if (state.state === 'lost') {
        return ['Display lost', 'warn'];
    }
    if (state.state === 'stalled') {
        return ['Standing still', 'warn'];
    }
    return [hello?.control === false ? 'Running · view only' : controls === 'another' ? 'Running · looking on' : 'Running', 'good'];
}

/** Whether who answers resumes the session if this page asks for it. */
function resumable() {
    return status === 'open' && state.state === 'suspended' && offers('resume') && hello?.control === true;
}

/** Returns once it is suspended; what becomes of it then comes by the stream. */
async function suspend() {
    try {
        await service.suspend();
    } catch (error) {
        // Who would have answered is gone with the session, unless that runs on.
        if (!(error instanceof service.SilenceError) || (status === 'open' && state.state === 'running')) {
            throw error;
        }
    }
}

/**
 * Suspends the session as it is now, so that it can be resumed at an earlier snapshot.
 *
 * @param {string} snapshot its id
 */
async function goBack(snapshot) {
    back = snapshot;
    try {
        await suspend();
    } catch (error) {
        back = undefined;
        throw error;
    }
}

/** To the snapshot that was chosen, if there is one and it can be had now. */
function goOn() {
    if (back && resumable()) {
        const at = back;
        back = undefined;
        void resume(at);
    }
}

/** @param {string} [at] a snapshot's id; without it, as it was suspended */
async function resume(at) {
    problem = '';
    overlay.setBusy(true);
    try {
        await service.resume(at);
        connection.retry();
    } catch (error) {
        // Who answered may have gone for who serves the session now: then the stream comes back by itself.
        if (!(error instanceof service.SilenceError)) {
            problem = error instanceof Error ? error.message : String(error);
        }
    }
    overlay.setBusy(false);
    showState();
}

function ring() {
    document.body.classList.remove('bell');
    // Without this the browser would not notice that it was away.
    void document.body.offsetWidth;
    document.body.classList.add('bell');
}

/**
 * @param {number} x
 * @param {number} y
 */
function ripple(x, y) {
    navigator.vibrate?.(12);
    const ring = element('ripple', HTMLElement);
    ring.hidden = true;
    ring.style.left = `${x}px`;
    ring.style.top = `${y}px`;
    void ring.offsetWidth;
    ring.hidden = false;
    setTimeout(() => (ring.hidden = true), 450);
}

function fullScreen() {
    const button = element('full', HTMLButtonElement);
    if (!document.fullscreenEnabled) {
        button.hidden = true;
        return;
    }
    /** Keyboard Lock: what the browser keeps for itself goes to the session. Chromium's; others have it not. */
    const lock = /** @type {{lock?: () => Promise<void>, unlock?: () => void} | undefined} */ (/** @type {any} */ (navigator).keyboard);
    button.addEventListener('click', async () => {
        try {
            if (document.fullscreenElement) {
                await document.exitFullscreen();
            } else {
                await document.documentElement.requestFullscreen({ navigationUI: 'hide' });
                await lock?.lock?.();
            }
        } catch (error) {
            toast(`The browser refused: ${error instanceof Error ? error.message : error}`, true);
        }
        toolbar.hide();
        focusSession();
    });
    document.addEventListener('fullscreenchange', () => {
        const full = document.fullscreenElement !== null;
        if (!full) {
            lock?.unlock?.();
        }
        button.dataset.tip = full ? 'Leave full screen' : 'Full screen';
        button.setAttribute('aria-label', button.dataset.tip);
        button.querySelector('use')?.setAttribute('href', `#icon-${full ? 'window' : 'full'}`);
    });
}
