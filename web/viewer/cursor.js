// @ts-check
/**
 * The session's pointer as the browser's own, so that it moves without waiting for the session.
 */

/** @typedef {import('./messages.js').Cursor} CursorImage */

/** Browsers take no larger ones (CSS pixels). */
const SIDE_MAX = 128;
const DOT = 9;

export class Cursor {
    /** @type {CursorImage | undefined} */
    #image;
    #scale = 1;
    #pictures = document.createElement('canvas');

    /** @param {HTMLElement} element over which the pointer has this picture */
    constructor(element) {
        this.element = element;
    }

    /** @param {CursorImage} image */
    show(image) {
        this.#image = image;
        this.#apply();
    }

    /** @param {number} scale CSS pixels to one of the session's */
    setScale(scale) {
        if (scale !== this.#scale) {
            this.#scale = scale;
            this.#apply();
        }
    }

    #apply() {
        const image = this.#image;
        if (!image) {
            return;
        }
        // As large as what it points at, but never smaller than this screen's own pixels nor so that it can't be seen.
        const scale = Math.max(this.#scale, 1 / devicePixelRatio, 0.5);
        const tooLarge = image.width * scale > SIDE_MAX || image.height * scale > SIDE_MAX;
        if (image.width === 0 || image.height === 0 || tooLarge) {
            // Nobody finds a pointer that is not there, and a session hides it readily: a dot is left of it.
            this.element.style.cursor = `url("${this.#dot()}") ${DOT >> 1} ${DOT >> 1}, crosshair`;
            return;
        }
        const hotX = Math.min(image.hotX, image.width - 1);
        const hotY = Math.min(image.hotY, image.height - 1);
        const url = this.#draw(image);
        const exact = `image-set(url("${url}") ${1 / scale}x) ${Math.floor(hotX * scale)} ${Math.floor(hotY * scale)}, default`;
        if (scale !== 1 && CSS.supports('cursor', exact)) {
            this.element.style.cursor = exact;
        } else {
            this.element.style.cursor = `url("${url}") ${hotX} ${hotY}, default`;
        }
    }

    /** @param {CursorImage} image */
    #draw(image) {
        const data = new ImageData(image.width, image.height);
        for (let i = 0; i < data.data.length; i += 4) {
            const alpha = image.pixels[i + 3] ?? 0;
            // ImageData wants colours that are not multiplied by alpha.
            for (let c = i; c < i + 3; c++) {
                data.data[c] = alpha === 0 ? 0 : Math.round(((image.pixels[c] ?? 0) * 255) / alpha);
            }
            data.data[i + 3] = alpha;
        }
        this.#pictures.width = image.width;
        this.#pictures.height = image.height;
        this.#pictures.getContext('2d')?.putImageData(data, 0, 0);
        return this.#pictures.toDataURL();
    }

    #dot() {
        this.#pictures.width = DOT;
        this.#pictures.height = DOT;
        const context = this.#pictures.getContext('2d');
        if (context) {
            context.beginPath();
            context.arc(DOT / 2, DOT / 2, DOT / 2 - 1, 0, 2 * Math.PI);
            context.fillStyle = '#000';
            context.fill();
            context.strokeStyle = '#fff';
            context.lineWidth = 1.5;
            context.stroke();
        }
        return this.#pictures.toDataURL();
    }
}
