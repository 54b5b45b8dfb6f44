// @ts-check
/**
 * The session's screen on the page: a canvas with one pixel for each of the session's, laid out in one of three ways.
 */
import { Surface } from './decode.js';

/**
 * - `fit`: as large as the window has room for, in proportion;
 * - `actual`: a pixel of the session is a pixel of this computer's screen; what does not fit is scrolled to;
 * - `resize`: the session is asked to have the window's size.
 *
 * @typedef {'fit' | 'actual' | 'resize'} Mode
 */

const ZOOM_MAX = 8;
/** After the window's last change of size, before the session is asked to follow. */
const RESIZE_MILLIS = 300;
/** How near to the edge the pointer must be for the rest of the screen to be scrolled to, in CSS pixels. */
const EDGE = 24;

export class Screen {
    /** @type {Mode} */
    #mode = 'fit';
    #crisp = false;
    #large = false;
    #zoom = 1;
    /** CSS pixels to one pixel of the session. */
    #scale = 1;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #resizing;
    #asked = '';
    #covered = false;

    /**
     * @param {HTMLElement} stage what is scrolled, as large as the window
     * @param {HTMLCanvasElement} canvas
     * @param {{resize: (width: number, height: number) => void, scaled: (scale: number) => void}} listener `resize`: the session shall
     *     have that size
     */
    constructor(stage, canvas, listener) {
        this.stage = stage;
        this.canvas = canvas;
        this.listener = listener;
        this.surface = new Surface(canvas);
        new ResizeObserver(() => this.layout()).observe(stage);
        this.#followDensity();
    }

    get width() {
        return this.canvas.width;
    }

    get height() {
        return this.canvas.height;
    }

    get mode() {
        return this.#mode;
    }

    get scale() {
        return this.#scale;
    }

    get zoomed() {
        return this.#zoom > 1;
    }

    /** Called by the browser when the page comes to a screen of another density, or is zoomed. */
    #followDensity() {
        const query = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
        query.addEventListener(
            'change',
            () => {
                this.layout();
                this.#followDensity();
            },
            { once: true },
        );
    }

    /**
     * In its turn, after all drawing that was asked for before.
     *
     * @param {number} width
     * @param {number} height
     * @returns {Promise<void>}
     */
    async setSize(width, height) {
        const surface = this.surface;
        if (width === surface.width && height === surface.height) {
            return;
        }
        // What is known stays to be seen until the session sends more; a new size would make it black.
        const before = document.createElement('canvas');
        void surface.then(null, () => {
            before.width = this.width;
            before.height = this.height;
            before.getContext('2d', { alpha: false })?.drawImage(this.canvas, 0, 0);
        });
        void surface.resize(width, height);
        await surface.then(null, () => {
            surface.context.drawImage(before, 0, 0);
            this.layout();
        });
    }

    /** @param {Mode} mode */
    setMode(mode) {
        this.#mode = mode;
        this.#zoom = 1;
        this.#asked = '';
        this.layout();
    }

    /** @param {boolean} crisp whether an enlarged pixel has hard edges */
    setCrisp(crisp) {
        this.#crisp = crisp;
        this.layout();
    }

    /** @param {boolean} large whether a session that has the window's size counts CSS pixels, so that its text is as large as a page's */
    setLarge(large) {
        this.#large = large;
        this.#asked = '';
        this.layout();
    }

    /** @param {number} covered how much of the window's lower end is not seen, in CSS pixels: no reason for a session to become smaller */
    setCovered(covered) {
        this.#covered = covered > 0;
        this.stage.style.bottom = `${covered}px`;
    }

    /** How many pixels a session has that fills the window. */
    windowPixels() {
        const density = this.#large ? 1 : devicePixelRatio;
        return {
            width: Math.max(1, Math.floor(this.stage.offsetWidth * density)),
            height: Math.max(1, Math.floor(this.stage.offsetHeight * density)),
        };
    }

    /** Asks for the window's size even if that was asked for before: a new connection's server has not been asked. */
    askAgain() {
        this.#asked = '';
        this.layout();
    }

    layout() {
        const density = devicePixelRatio;
        const room = { width: this.stage.offsetWidth * density, height: this.stage.offsetHeight * density };
        if (room.width === 0 || room.height === 0) {
            return;
        }
        // Device pixels to one of the session.
        let factor = this.#mode === 'resize' && this.#large ? density : 1;
        if (this.#mode === 'fit') {
            factor = Math.min(room.width / this.width, room.height / this.height);
            // Nearly a whole number is made one, if that costs no more than a thin border: sharp is worth more than full.
            const whole = Math.round(factor);
            if (whole >= 1 && factor >= whole && factor < whole * 1.03) {
                factor = whole;
            }
        }
        factor *= this.#zoom;
        this.#scale = factor / density;
        const width = this.width * factor;
        const height = this.height * factor;
        // On whole device pixels, or every pixel would be smeared over two.
        const left = Math.max(0, Math.floor((room.width - width) / 2));
        const top = Math.max(0, Math.floor((room.height - height) / 2));
        const style = this.canvas.style;
        style.width = `${width / density}px`;
        style.height = `${height / density}px`;
        style.left = `${left / density}px`;
        style.top = `${top / density}px`;
        // The browser's own smoothing only where there is something to smooth.
        style.imageRendering = this.#crisp || Number.isInteger(factor) ? 'pixelated' : 'auto';
        this.stage.classList.toggle('scrolls', width > room.width + 1 || height > room.height + 1);
        this.listener.scaled(this.#scale);
        if (this.#mode === 'resize' && !this.#covered) {
            this.#askForWindow();
        }
    }

    #askForWindow() {
        const { width, height } = this.windowPixels();
        const asked = `${width}×${height}`;
        if (asked === this.#asked) {
            return;
        }
        clearTimeout(this.#resizing);
        this.#resizing = setTimeout(() => {
            this.#asked = asked;
            if (width !== this.width || height !== this.height) {
                this.listener.resize(width, height);
            }
        }, RESIZE_MILLIS);
    }

    /**
     * Which pixel of the session is there; the nearest one if none is.
     *
     * @param {number} clientX
     * @param {number} clientY
     */
    toSession(clientX, clientY) {
        const box = this.canvas.getBoundingClientRect();
        const x = Math.floor(((clientX - box.left) * this.width) / box.width);
        const y = Math.floor(((clientY - box.top) * this.height) / box.height);
        return { x: Math.max(0, Math.min(this.width - 1, x)), y: Math.max(0, Math.min(this.height - 1, y)) };
    }

    /**
     * What is there, as shares of the screen's width and height.
     *
     * @param {number} clientX
     * @param {number} clientY
     */
    placeAt(clientX, clientY) {
        const box = this.canvas.getBoundingClientRect();
        return { x: (clientX - box.left) / box.width, y: (clientY - box.top) / box.height };
    }

    /**
     * Makes it larger on the page, and has a place of it somewhere.
     *
     * @param {number} factor
     * @param {{x: number, y: number}} place as {@link placeAt} has it
     * @param {number} clientX
     * @param {number} clientY
     */
    zoomBy(factor, place, clientX, clientY) {
        this.#zoom = Math.max(1, Math.min(ZOOM_MAX, this.#zoom * factor));
        this.layout();
        const box = this.canvas.getBoundingClientRect();
        this.panBy(box.left + place.x * box.width - clientX, box.top + place.y * box.height - clientY);
    }

    /**
     * @param {number} dx CSS pixels
     * @param {number} dy
     */
    panBy(dx, dy) {
        this.stage.scrollBy({ left: dx, top: dy, behavior: 'instant' });
    }

    /**
     * Brings nearer what lies beyond the edge that the pointer is at.
     *
     * @param {number} clientX
     * @param {number} clientY
     */
    followPointer(clientX, clientY) {
        if (!this.stage.classList.contains('scrolls')) {
            return;
        }
        const box = this.stage.getBoundingClientRect();
        const beyond = (/** @type {number} */ at, /** @type {number} */ from, /** @type {number} */ to) =>
            at < from + EDGE ? at - from - EDGE : at > to - EDGE ? at - to + EDGE : 0;
        this.panBy(
            beyond(clientX, box.left, box.left + this.stage.clientWidth),
            beyond(clientY, box.top, box.top + this.stage.clientHeight),
        );
    }
}
