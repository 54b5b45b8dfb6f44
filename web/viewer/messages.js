// @ts-check
/**
 * Messages of docs/PROTOCOL.md: reading the server's, writing the viewer's. What comes from the server is not trusted to be well
 * formed: whatever is not as the protocol has it ends in a {@link ProtocolError}.
 */

export const VERSION = 1;
export const SUBPROTOCOL = 'satchel.1';
/** A message of a viewer is at most 1 MiB, one byte of it its type. */
export const CLIPBOARD_BYTES_MAX = (1 << 20) - 1;
/** X servers' own limits are lower; what is beyond is nonsense that would cost memory. */
const SIDE_PIXELS_MAX = 16384;
const CURSOR_PIXELS_MAX = 1024;
const TEXT_BYTES_MAX = 1 << 20;

/** What a viewer may do, in HELLO. */
const MAY_CONTROL = 1;
const WANTS_FILMS = 4;

export class ProtocolError extends Error {
    /** @param {string} what */
    constructor(what) {
        super(what);
        this.name = 'ProtocolError';
    }
}

/**
 * @typedef {{type: 'hello', version: number, width: number, height: number, widthMax: number, heightMax: number, control: boolean, name: string}} Hello sizes of 0: there is no display just now
 * @typedef {{type: 'update', serial: number, commands: Uint8Array}} Update
 * @typedef {{type: 'cursor', width: number, height: number, hotX: number, hotY: number, pixels: Uint8Array}} Cursor red, green, blue, alpha, premultiplied
 * @typedef {{type: 'size', width: number, height: number}} Size
 * @typedef {{type: 'clipboard', text: string, there: boolean}} ClipboardText there: before this connection was
 * @typedef {'running' | 'suspending' | 'suspended' | 'stopped' | 'lost' | 'resuming' | 'stalled'} SessionState
 * @typedef {{type: 'state', state: SessionState, text: string}} State
 * @typedef {'all' | 'alone' | 'another'} Controls who of those that may control does: this one alone, or another one
 * @typedef {{type: 'controls', controls: Controls}} ControlsTold
 * @typedef {{type: 'pong', data: Uint8Array}} Pong
 * @typedef {{type: 'bell'}} Bell
 * @typedef {Hello | Update | Cursor | Size | ClipboardText | State | Pong | Bell | ControlsTold} ServerMessage
 */

/** @type {readonly Controls[]} */
const CONTROLS = ['all', 'alone', 'another'];

/** @type {readonly SessionState[]} */
const STATES = ['running', 'suspending', 'suspended', 'stopped', 'lost', 'resuming', 'stalled'];

const DECODER = new TextDecoder('utf-8', { fatal: true });
const ENCODER = new TextEncoder();

/** Reads a message from its beginning; past its end is an error. */
class Reader {
    /** @param {ArrayBuffer} message */
    constructor(message) {
        this.bytes = new Uint8Array(message);
        this.view = new DataView(message);
        this.at = 0;
    }

    get left() {
        return this.bytes.length - this.at;
    }

    /** @param {number} count */
    #skip(count) {
        if (count > this.left) {
            throw new ProtocolError(`a message ends ${count - this.left} bytes too soon`);
        }
        const at = this.at;
        this.at += count;
        return at;
    }

    u8() {
        return this.view.getUint8(this.#skip(1));
    }

    u16() {
        return this.view.getUint16(this.#skip(2), true);
    }

    u32() {
        return this.view.getUint32(this.#skip(4), true);
    }

    /** @param {number} [count] all that is left, if not given */
    take(count = this.left) {
        const at = this.#skip(count);
        return this.bytes.subarray(at, at + count);
    }

    text() {
        if (this.left > TEXT_BYTES_MAX) {
            throw new ProtocolError(`a text of ${this.left} bytes`);
        }
        try {
            return DECODER.decode(this.take());
        } catch {
            throw new ProtocolError('a text that is not UTF-8');
        }
    }

    /** @param {boolean} mayBeNone whether 0×0 is told where there is no screen */
    size(mayBeNone) {
        const [width, height] = [this.u16(), this.u16()];
        const none = width === 0 && height === 0;
        if (none ? !mayBeNone : width === 0 || height === 0 || width > SIDE_PIXELS_MAX || height > SIDE_PIXELS_MAX) {
            throw new ProtocolError(`a screen of ${width}×${height}`);
        }
        return { width, height };
    }
}

/**
 * @param {ArrayBuffer} message
 * @returns {ServerMessage}
 * @throws {ProtocolError} if it is none
 */
export function parse(message) {
    const reader = new Reader(message);
    const result = parseBody(reader.u8(), reader);
    if (reader.left !== 0) {
        throw new ProtocolError(`${reader.left} bytes after the end of a message (${result.type})`);
    }
    return result;
}

/**
 * @param {number} type
 * @param {Reader} reader
 * @returns {ServerMessage}
 */
function parseBody(type, reader) {
    switch (type) {
        case 1: {
            const version = reader.u16();
            if (version !== VERSION) {
                throw new ProtocolError(`version ${version} of the protocol; this page speaks version ${VERSION}`);
            }
            const { width, height } = reader.size(true);
            const { width: widthMax, height: heightMax } = reader.size(true);
            return {
                type: 'hello',
                version,
                width,
                height,
                widthMax,
                heightMax,
                control: (reader.u8() & MAY_CONTROL) !== 0,
                name: reader.text(),
            };
        }
        case 2:
            return { type: 'update', serial: reader.u32(), commands: reader.take() };
        case 3: {
            const [width, height, hotX, hotY] = [reader.u16(), reader.u16(), reader.u16(), reader.u16()];
            if (width > CURSOR_PIXELS_MAX || height > CURSOR_PIXELS_MAX) {
                throw new ProtocolError(`a cursor of ${width}×${height}`);
            }
            return { type: 'cursor', width, height, hotX, hotY, pixels: reader.take(width * height * 4) };
        }
        case 4:
            return { type: 'size', ...reader.size(false) };
        case 5:
            return { type: 'clipboard', text: reader.text(), there: false };
        case 6: {
            const number = reader.u8();
            const state = STATES[number - 1];
            if (!state) {
                throw new ProtocolError(`state ${number}`);
            }
            return { type: 'state', state, text: reader.text() };
        }
        case 7:
            return { type: 'pong', data: reader.take() };
        case 8:
            return { type: 'bell' };
        case 10: {
            const number = reader.u8();
            const controls = CONTROLS[number];
            if (!controls) {
                throw new ProtocolError(`control ${number}`);
            }
            return { type: 'controls', controls };
        }
        case 11:
            return { type: 'clipboard', text: reader.text(), there: true };
        default:
            throw new ProtocolError(`a message of type ${type}`);
    }
}

/**
 * @param {number} type
 * @param {number} length of the body in bytes
 * @param {(view: DataView) => void} fill given the message; the body begins at 1
 */
function message(type, length, fill) {
    const view = new DataView(new ArrayBuffer(1 + length));
    view.setUint8(0, type);
    fill(view);
    return view.buffer;
}

/** @param {number} value */
const u16 = value => Math.max(0, Math.min(0xffff, Math.round(value)));

/**
 * @param {number} width pixels of the window
 * @param {number} height
 * @param {boolean} video
 * @param {boolean} films whether VIDEO may be VP8
 * @param {Uint8Array} page names it; of PAGE_BYTES
 */
export function hello(width, height, video, films, page) {
    return message(1, 7 + PAGE_BYTES, view => {
        view.setUint16(1, VERSION, true);
        view.setUint16(3, u16(width), true);
        view.setUint16(5, u16(height), true);
        view.setUint8(7, (video ? 1 : 0) | (films ? WANTS_FILMS : 0));
        page.forEach((byte, at) => view.setUint8(8 + at, byte));
    });
}

/** Of what names a page. */
export const PAGE_BYTES = 16;

/** @param {number} serial */
export function ack(serial) {
    return message(2, 4, view => view.setUint32(1, serial, true));
}

/**
 * @param {number} x
 * @param {number} y
 * @param {number} buttons as the protocol numbers them, not as browsers do
 */
export function pointer(x, y, buttons) {
    return message(3, 6, view => {
        view.setUint16(1, u16(x), true);
        view.setUint16(3, u16(y), true);
        view.setUint16(5, buttons, true);
    });
}

/**
 * @param {number} keysym
 * @param {boolean} down
 */
export function key(keysym, down) {
    return message(4, 5, view => {
        view.setUint32(1, keysym, true);
        view.setUint8(5, down ? 1 : 0);
    });
}

/**
 * @param {string} text
 * @returns {ArrayBuffer | undefined} nothing if the text is longer than {@link CLIPBOARD_BYTES_MAX}
 */
export function clipboard(text) {
    const bytes = ENCODER.encode(text);
    if (bytes.length > CLIPBOARD_BYTES_MAX) {
        return undefined;
    }
    return message(5, bytes.length, view => new Uint8Array(view.buffer).set(bytes, 1));
}

/**
 * @param {number} width
 * @param {number} height
 */
export function resize(width, height) {
    return message(6, 4, view => {
        view.setUint16(1, u16(width), true);
        view.setUint16(3, u16(height), true);
    });
}

/** @param {number} number comes back, as {@link pingNumber} reads it */
export function ping(number) {
    return message(7, 4, view => view.setUint32(1, number, true));
}

/** @param {Uint8Array} data */
export function pingNumber(data) {
    return data.length === 4 ? new DataView(data.buffer, data.byteOffset, 4).getUint32(0, true) : undefined;
}

export function refresh() {
    return message(8, 0, () => {});
}

/**
 * Takes control from all others, or gives it back to all.
 *
 * @param {boolean} alone
 */
export function control(alone) {
    return message(9, 1, view => view.setUint8(1, alone ? 1 : 0));
}
