// @ts-check
/**
 * Mouse, pen and touch → POINTER messages.
 */

/** @typedef {import('./screen.js').Screen} Screen */

const LEFT = 1 << 0;
const RIGHT = 1 << 2;
const WHEEL = { up: 1 << 3, down: 1 << 4, left: 1 << 5, right: 1 << 6 };
/** PointerEvent.buttons → the protocol's, bit by bit. */
const BUTTONS = [LEFT, RIGHT, 1 << 1, 1 << 7, 1 << 8];

/** More often than this a moving pointer is not told. */
const MOVE_MILLIS = 8;
/** What a wheel turns by one notch differs among browsers and systems: between 50 and 150 CSS pixels. */
const NOTCH_PIXELS = 50;
const FAST_NOTCH_PIXELS = 120;
const LINE_PIXELS = 20;
const NOTCHES_MAX = 8;

const LONG_PRESS_MILLIS = 500;
/** Fingers tremble: less than this is no movement (CSS pixels). */
const SLOP = 10;
const PINCH_SLOP = 28;
const TOUCH_NOTCH_PIXELS = 24;
const DOUBLE_TAP_MILLIS = 400;
const DOUBLE_TAP_PIXELS = 32;
const TWO_FINGER_TAP_MILLIS = 350;

/**
 * @typedef {{id: number, x: number, y: number, startX: number, startY: number}} Finger
 * @typedef {'none' | 'pressed' | 'dragging' | 'done' | 'two' | 'scrolling' | 'pinching'} Gesture
 */

export class Pointer {
    enabled = false;
    #buttons = 0;
    #x = 0;
    #y = 0;
    #movedAt = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #moveLater;
    #wheelX = 0;
    #wheelY = 0;
    /** @type {Map<number, Finger>} */
    #fingers = new Map();
    /** @type {Gesture} */
    #gesture = 'none';
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #longPress;
    #tap = { at: -Infinity, x: 0, y: 0 };
    #twoAt = 0;
    #span = 0;
    #middle = { x: 0, y: 0 };
    /** What two fingers hold when they begin to pinch: it stays between them. */
    #place = { x: 0, y: 0 };

    /**
     * @param {HTMLElement} element
     * @param {Screen} screen
     * @param {{pointer: (x: number, y: number, buttons: number) => void, pressed: (event: PointerEvent) => void, longPress: (x: number, y: number) => void}} sink
     *     `pointer` in the session's pixels; `pressed` before a button is told; `longPress` where a finger has become a right click
     */
    constructor(element, screen, sink) {
        this.element = element;
        this.screen = screen;
        this.sink = sink;
        element.addEventListener('pointerdown', event => this.#down(event));
        element.addEventListener('pointermove', event => this.#move(event));
        element.addEventListener('pointerup', event => this.#up(event));
        element.addEventListener('pointercancel', event => this.#cancel(event));
        element.addEventListener('wheel', event => this.#wheel(event), { passive: false });
        element.addEventListener('contextmenu', event => event.preventDefault());
        // Keeps the keyboard where it is, and the browser from scrolling with the middle button or dragging a picture of the canvas.
        element.addEventListener('mousedown', event => event.preventDefault());
        element.addEventListener('auxclick', event => event.preventDefault());
        addEventListener('blur', () => this.releaseAll());
    }

    releaseAll() {
        clearTimeout(this.#longPress);
        this.#fingers.clear();
        this.#gesture = 'none';
        if (this.#buttons !== 0) {
            this.#tell(this.#x, this.#y, 0);
        }
    }

    /**
     * @param {number} x
     * @param {number} y
     * @param {number} buttons
     */
    #tell(x, y, buttons) {
        clearTimeout(this.#moveLater);
        this.#moveLater = undefined;
        this.#x = x;
        this.#y = y;
        this.#buttons = buttons;
        this.#movedAt = performance.now();
        if (this.enabled) {
            this.sink.pointer(x, y, buttons);
        }
    }

    /**
     * @param {number} clientX
     * @param {number} clientY
     * @param {number} buttons
     */
    #tellAt(clientX, clientY, buttons) {
        const { x, y } = this.screen.toSession(clientX, clientY);
        this.#tell(x, y, buttons);
    }

    /**
     * Movement alone: not each, but always the last.
     *
     * @param {number} clientX
     * @param {number} clientY
     */
    #moveTo(clientX, clientY) {
        const { x, y } = this.screen.toSession(clientX, clientY);
        if (x === this.#x && y === this.#y) {
            return;
        }
        this.#x = x;
        this.#y = y;
        if (this.#moveLater === undefined) {
            const wait = this.#movedAt + MOVE_MILLIS - performance.now();
            if (wait <= 0) {
                this.#tell(x, y, this.#buttons);
            } else {
                this.#moveLater = setTimeout(() => this.#tell(this.#x, this.#y, this.#buttons), wait);
            }
        }
    }

    /** @param {PointerEvent} event */
    #down(event) {
        event.preventDefault();
        this.sink.pressed(event);
        try {
            // What was pressed on the screen is released there, wherever the pointer went.
            this.element.setPointerCapture(event.pointerId);
        } catch {
            // It is up again already.
        }
        if (event.pointerType === 'touch') {
            this.#fingerDown(event);
        } else {
            this.#tellAt(event.clientX, event.clientY, fromBrowser(event.buttons));
        }
    }

    /** @param {PointerEvent} event */
    #move(event) {
        if (event.pointerType === 'touch') {
            this.#fingerMove(event);
            return;
        }
        this.screen.followPointer(event.clientX, event.clientY);
        const buttons = fromBrowser(event.buttons);
        // A second button while one is down comes as a movement (Pointer Events, "chorded button interactions").
        if (event.button !== -1 || buttons !== this.#buttons) {
            this.#tellAt(event.clientX, event.clientY, buttons);
        } else {
            this.#moveTo(event.clientX, event.clientY);
        }
    }

    /** @param {PointerEvent} event */
    #up(event) {
        event.preventDefault();
        if (event.pointerType === 'touch') {
            this.#fingerUp(event);
        } else {
            this.#tellAt(event.clientX, event.clientY, fromBrowser(event.buttons));
        }
    }

    /** @param {PointerEvent} event */
    #cancel(event) {
        if (event.pointerType !== 'touch' || this.#fingers.has(event.pointerId)) {
            this.releaseAll();
        }
    }

    /** @param {WheelEvent} event */
    #wheel(event) {
        event.preventDefault();
        let { deltaX, deltaY } = event;
        if (event.deltaMode === WheelEvent.DOM_DELTA_LINE) {
            deltaX *= LINE_PIXELS;
            deltaY *= LINE_PIXELS;
        } else if (event.deltaMode === WheelEvent.DOM_DELTA_PAGE) {
            deltaX *= FAST_NOTCH_PIXELS;
            deltaY *= FAST_NOTCH_PIXELS;
        }
        if (event.shiftKey && deltaY === 0) {
            // The browser turned it because of Shift; the session has Shift itself.
            [deltaX, deltaY] = [0, deltaX];
        }
        // Whoever turns round begins anew.
        this.#wheelX = deltaX * this.#wheelX < 0 ? deltaX : this.#wheelX + deltaX;
        this.#wheelY = deltaY * this.#wheelY < 0 ? deltaY : this.#wheelY + deltaY;
        const { x, y } = this.screen.toSession(event.clientX, event.clientY);
        if (Math.abs(this.#wheelY) >= NOTCH_PIXELS) {
            this.#notches(x, y, this.#wheelY > 0 ? WHEEL.down : WHEEL.up, Math.abs(this.#wheelY) / FAST_NOTCH_PIXELS);
            this.#wheelY = 0;
        }
        if (Math.abs(this.#wheelX) >= NOTCH_PIXELS) {
            this.#notches(x, y, this.#wheelX > 0 ? WHEEL.right : WHEEL.left, Math.abs(this.#wheelX) / FAST_NOTCH_PIXELS);
            this.#wheelX = 0;
        }
    }

    /**
     * @param {number} x
     * @param {number} y
     * @param {number} button
     * @param {number} count at least one is made
     */
    #notches(x, y, button, count) {
        for (let i = Math.max(1, Math.min(NOTCHES_MAX, Math.floor(count))); i > 0; i--) {
            this.#tell(x, y, this.#buttons | button);
            this.#tell(x, y, this.#buttons & ~button);
        }
    }

    /**
     * @param {number} clientX
     * @param {number} clientY
     * @param {number} button
     */
    #click(clientX, clientY, button) {
        this.#tellAt(clientX, clientY, 0);
        this.#tellAt(clientX, clientY, button);
        this.#tellAt(clientX, clientY, 0);
    }

    /** @param {PointerEvent} event */
    #fingerDown(event) {
        const finger = {
            id: event.pointerId,
            x: event.clientX,
            y: event.clientY,
            startX: event.clientX,
            startY: event.clientY,
        };
        this.#fingers.set(event.pointerId, finger);
        clearTimeout(this.#longPress);
        if (this.#fingers.size === 1) {
            this.#gesture = 'pressed';
            this.#longPress = setTimeout(() => {
                this.#gesture = 'done';
                this.#click(finger.startX, finger.startY, RIGHT);
                this.sink.longPress(finger.startX, finger.startY);
            }, LONG_PRESS_MILLIS);
        } else if (this.#fingers.size === 2 && (this.#gesture === 'pressed' || this.#gesture === 'dragging')) {
            if (this.#gesture === 'dragging') {
                this.#tell(this.#x, this.#y, 0);
            }
            this.#gesture = 'two';
            this.#twoAt = performance.now();
            const { span, middle } = this.#hand();
            this.#span = span;
            this.#middle = middle;
        } else {
            this.#gesture = 'done';
        }
    }

    /** Of the first two fingers: how far they are apart, and where between them is. */
    #hand() {
        const [a, b] = [...this.#fingers.values()];
        if (!a || !b) {
            return { span: 0, middle: this.#middle };
        }
        return { span: Math.hypot(a.x - b.x, a.y - b.y), middle: { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 } };
    }

    /** @param {PointerEvent} event */
    #fingerMove(event) {
        const finger = this.#fingers.get(event.pointerId);
        if (!finger) {
            return;
        }
        finger.x = event.clientX;
        finger.y = event.clientY;
        if (this.#gesture === 'pressed' && Math.hypot(finger.x - finger.startX, finger.y - finger.startY) > SLOP) {
            clearTimeout(this.#longPress);
            this.#gesture = 'dragging';
            // From where the finger came down, or a window's edge would be missed by as much as it moved.
            this.#tellAt(finger.startX, finger.startY, 0);
            this.#tellAt(finger.startX, finger.startY, LEFT);
        }
        if (this.#gesture === 'dragging') {
            this.screen.followPointer(finger.x, finger.y);
            this.#moveTo(finger.x, finger.y);
        } else if (this.#gesture === 'two' || this.#gesture === 'scrolling' || this.#gesture === 'pinching') {
            this.#handMove();
        }
    }

    #handMove() {
        const { span, middle } = this.#hand();
        const dx = middle.x - this.#middle.x;
        const dy = middle.y - this.#middle.y;
        if (this.#gesture === 'two') {
            if (Math.abs(span - this.#span) > PINCH_SLOP) {
                this.#gesture = 'pinching';
                this.#place = this.screen.placeAt(this.#middle.x, this.#middle.y);
                this.#span = span;
            } else if (Math.hypot(dx, dy) > SLOP) {
                this.#gesture = 'scrolling';
            }
        } else if (this.#gesture === 'pinching') {
            this.screen.zoomBy(span / Math.max(1, this.#span), this.#place, middle.x, middle.y);
            this.#span = span;
        } else {
            const { x, y } = this.screen.toSession(middle.x, middle.y);
            // The content follows the fingers: down with them is up with the wheel.
            if (Math.abs(dy) >= TOUCH_NOTCH_PIXELS) {
                this.#notches(x, y, dy > 0 ? WHEEL.up : WHEEL.down, Math.abs(dy) / TOUCH_NOTCH_PIXELS);
                this.#middle = { x: this.#middle.x, y: middle.y };
            }
            if (Math.abs(dx) >= TOUCH_NOTCH_PIXELS) {
                this.#notches(x, y, dx > 0 ? WHEEL.left : WHEEL.right, Math.abs(dx) / TOUCH_NOTCH_PIXELS);
                this.#middle = { x: middle.x, y: this.#middle.y };
            }
        }
    }

    /** @param {PointerEvent} event */
    #fingerUp(event) {
        const finger = this.#fingers.get(event.pointerId);
        if (!finger) {
            return;
        }
        this.#fingers.delete(event.pointerId);
        clearTimeout(this.#longPress);
        if (this.#gesture === 'pressed') {
            this.#tapped(finger);
        } else if (this.#gesture === 'dragging') {
            this.#tellAt(finger.x, finger.y, 0);
        } else if (this.#gesture === 'two' && performance.now() - this.#twoAt < TWO_FINGER_TAP_MILLIS) {
            this.#click(this.#middle.x, this.#middle.y, RIGHT);
        }
        this.#gesture = this.#fingers.size === 0 ? 'none' : 'done';
    }

    /** @param {Finger} finger */
    #tapped(finger) {
        const now = performance.now();
        let { startX: x, startY: y } = finger;
        // No finger hits the same pixel twice, but a double click has to.
        const near = Math.hypot(x - this.#tap.x, y - this.#tap.y) < DOUBLE_TAP_PIXELS;
        if (near && now - this.#tap.at < DOUBLE_TAP_MILLIS) {
            ({ x, y } = this.#tap);
        }
        this.#tap = { at: now, x, y };
        this.#click(x, y, LEFT);
    }
}

/** @param {number} buttons PointerEvent.buttons */
function fromBrowser(buttons) {
    return BUTTONS.reduce((mask, button, bit) => ((buttons >> bit) & 1 ? mask | button : mask), 0);
}
