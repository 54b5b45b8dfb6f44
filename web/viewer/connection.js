// @ts-check
/**
 * The stream to the session: a WebSocket that is opened again whenever it ends, for as long as the page lives.
 */
import { canDecodeFilms } from './decode.js';
import { ack, hello, PAGE_BYTES, parse, ping, pingNumber, ProtocolError, SUBPROTOCOL } from './messages.js';

/** @typedef {import('./messages.js').ServerMessage} ServerMessage */

/**
 * - `connecting`: under way, the first time or again;
 * - `open`: the server has said HELLO;
 * - `waiting`: until it is tried again;
 * - `refused`: the server does not know this page's cookie (any more); it is still tried, seldom.
 *
 * @typedef {'connecting' | 'open' | 'waiting' | 'refused'} Status
 */

/**
 * @typedef {object} Receiver
 * @property {(message: ServerMessage) => void | Promise<void>} message in order, without waiting for the promise of the one before. What
 *     fails ends the connection, which is then tried again
 * @property {(status: Status, reason: string) => void} status
 * @property {(quality: Quality) => void} quality after each answer to a PING, and each second while bytes come
 * @property {() => {width: number, height: number}} window its pixels, for HELLO
 */

/**
 * @typedef {object} Quality
 * @property {number | undefined} latencyMillis there and back; not known at first
 * @property {number} bytesPerSecond received in the last second
 */

const DELAY_MILLIS_MIN = 300;
const DELAY_MILLIS_MAX = 8_000;
/** RFC 6455 §7.4.1, "going away": somebody else is about to answer at the same port, or nobody. */
const GOING_AWAY = 1001;
const DELAY_MILLIS_SUCCESSOR = 20;
const SUCCESSOR_TRIES = 30;
/** Where the cookie is not known: a server answers ten wrong ones a minute, and then nobody. */
const DELAY_MILLIS_REFUSED = 20_000;
const HELLO_MILLIS_MAX = 15_000;
/** A connection that lived this long was a good one: the next delay is short again. */
const GOOD_MILLIS = 5_000;
/** Without any answer for so long, the link is dead, whatever TCP believes. */
const SILENCE_MILLIS_MAX = 30_000;
const PING_MILLIS = 10_000;
const PING_MILLIS_WATCHED = 1_500;

export class Connection {
    /** By this the server knows a page that comes again, and ends what it still believes to be its stream. */
    #page = crypto.getRandomValues(new Uint8Array(PAGE_BYTES));
    /** @type {WebSocket | undefined} */
    #socket;
    /** @type {Status} */
    #status = 'connecting';
    #failures = 0;
    /** How often to try, without delay, for who comes after a server that went. */
    #tries = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #timer;
    #bytes = 0;
    #bytesSince = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #meter;
    #pingNumber = 0;
    /** @type {{number: number, at: number} | undefined} */
    #pingOut;
    /** @type {number | undefined} */
    #latencyMillis;
    #watched = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #pinger;
    #heardAt = 0;

    /**
     * @param {string | URL} url
     * @param {Receiver} receiver
     * @param {() => Promise<number>} probe the status that the server answers a request with, 0 if it does not
     */
    constructor(url, receiver, probe) {
        this.url = url;
        this.receiver = receiver;
        this.probe = probe;
        addEventListener('online', () => this.retry());
        document.addEventListener('visibilitychange', () => {
            if (!document.hidden) {
                this.retry();
            }
        });
        try {
            // In the background only this one's clock goes on.
            const heartbeat = new Worker(new URL('./heartbeat.js', import.meta.url), { type: 'module' });
            heartbeat.onmessage = () => document.hidden && this.#ping();
        } catch {
            // Without workers a page that is long in the background connects anew when it is looked at.
        }
    }

    get open() {
        return this.#status === 'open';
    }

    connect() {
        clearTimeout(this.#timer);
        this.#setStatus('connecting', '');
        const socket = new WebSocket(this.url, SUBPROTOCOL);
        socket.binaryType = 'arraybuffer';
        this.#socket = socket;
        const startedAt = performance.now();
        this.#timer = setTimeout(() => this.#end(socket, 'The session did not answer.'), HELLO_MILLIS_MAX);
        socket.onopen = () => {
            const { width, height } = this.receiver.window();
            socket.send(hello(width, height, true, canDecodeFilms(), this.#page));
        };
        socket.onmessage = event => this.#received(socket, event.data);
        socket.onclose = event => {
            if (socket === this.#socket) {
                if (performance.now() - startedAt > GOOD_MILLIS && this.#status === 'open') {
                    this.#failures = 0;
                }
                if (event.code === GOING_AWAY) {
                    this.#tries = SUCCESSOR_TRIES;
                }
                this.#lost(event.reason || 'The connection was lost.');
            }
        };
    }

    /** Tries now what would be tried later. */
    retry() {
        if (this.#status === 'waiting' || this.#status === 'refused') {
            this.connect();
        }
    }

    /**
     * Nothing if there is no connection: what a person did meanwhile is not done later.
     *
     * @param {ArrayBuffer} message
     */
    send(message) {
        if (this.open) {
            this.#socket?.send(message);
        }
    }

    /**
     * @param {boolean} watched whether somebody looks at the latency, which is then measured more often
     */
    watch(watched) {
        this.#watched = watched;
        if (watched && this.#latencyMillis !== undefined) {
            this.#ping();
        }
    }

    /**
     * @param {WebSocket} socket
     * @param {unknown} data
     */
    #received(socket, data) {
        if (socket !== this.#socket) {
            return;
        }
        this.#heardAt = performance.now();
        try {
            if (!(data instanceof ArrayBuffer)) {
                throw new ProtocolError('a message of text');
            }
            this.#count(data.byteLength);
            const message = parse(data);
            if (message.type !== 'hello' && !this.open) {
                throw new ProtocolError('no HELLO first');
            }
            if (message.type === 'pong') {
                // Not behind what is still to be drawn: it is the link's time that is wanted.
                this.#pong(message.data);
                return;
            }
            if (message.type === 'hello' && !this.open) {
                clearTimeout(this.#timer);
                this.#latencyMillis = undefined;
                this.#pingOut = undefined;
                this.#tries = 0;
                this.#setStatus('open', '');
                // Not behind the first picture: that would tell how large it is.
                this.#pinger = setTimeout(() => this.#ping(), 1_000);
            }
            const done = this.receiver.message(message);
            if (message.type === 'update') {
                void this.#acknowledge(socket, message.serial, done);
            }
        } catch (error) {
            this.#fail(socket, error);
        }
    }

    /**
     * @param {WebSocket} socket
     * @param {number} serial
     * @param {void | Promise<void>} drawn
     */
    async #acknowledge(socket, serial, drawn) {
        try {
            await drawn;
            if (socket === this.#socket) {
                this.send(ack(serial));
            }
        } catch (error) {
            this.#fail(socket, error);
        }
    }

    /**
     * @param {WebSocket} socket
     * @param {unknown} error
     */
    #fail(socket, error) {
        console.warn('The stream ended:', error);
        this.#end(socket, 'What the session sent could not be understood.');
    }

    /**
     * @param {WebSocket} socket
     * @param {string} reason
     */
    #end(socket, reason) {
        if (socket === this.#socket) {
            socket.close(4000);
            this.#lost(reason);
        }
    }

    /** @param {string} reason */
    #lost(reason) {
        this.#socket = undefined;
        clearTimeout(this.#timer);
        clearTimeout(this.#pinger);
        if (this.#tries > 0) {
            this.#setStatus('waiting', reason);
            if (this.#tries-- === SUCCESSOR_TRIES) {
                // Who comes after it may be there already. Not by a timer: the browser would show first that there is nobody.
                this.connect();
            } else {
                this.#timer = setTimeout(() => this.connect(), DELAY_MILLIS_SUCCESSOR);
            }
            return;
        }
        this.#failures++;
        // At random, so that many viewers of a server that comes back don't all come at once.
        const delay = Math.min(DELAY_MILLIS_MAX, DELAY_MILLIS_MIN * 1.7 ** (this.#failures - 1)) * (0.5 + Math.random() / 2);
        this.#setStatus('waiting', reason);
        this.#timer = setTimeout(() => this.connect(), delay);
        if (this.#failures > 1) {
            void this.#ask();
        }
    }

    /** A browser does not say why a WebSocket was refused; a request's answer does. */
    async #ask() {
        const status = await this.probe();
        if (this.#status === 'waiting' && (status === 403 || status === 429)) {
            clearTimeout(this.#timer);
            this.#setStatus('refused', '');
            this.#timer = setTimeout(() => this.connect(), DELAY_MILLIS_REFUSED * (1 + Math.random() / 2));
        }
    }

    #ping() {
        clearTimeout(this.#pinger);
        if (!this.open) {
            return;
        }
        const now = performance.now();
        if (this.#socket && this.#pingOut && now - Math.max(this.#heardAt, this.#pingOut.at) > SILENCE_MILLIS_MAX) {
            this.#end(this.#socket, 'The connection fell silent.');
            return;
        }
        if (!this.#pingOut) {
            this.#pingNumber = (this.#pingNumber + 1) >>> 0;
            this.#pingOut = { number: this.#pingNumber, at: now };
            this.send(ping(this.#pingNumber));
        }
        this.#pinger = setTimeout(() => this.#ping(), this.#watched ? PING_MILLIS_WATCHED : PING_MILLIS);
    }

    /** @param {Uint8Array} data */
    #pong(data) {
        if (this.#pingOut && pingNumber(data) === this.#pingOut.number) {
            this.#latencyMillis = performance.now() - this.#pingOut.at;
            this.#pingOut = undefined;
            this.#tell();
        }
    }

    /** @param {number} bytes */
    #count(bytes) {
        this.#bytes += bytes;
        if (this.#meter === undefined) {
            this.#bytesSince = performance.now();
            this.#meter = setTimeout(() => {
                this.#meter = undefined;
                this.#tell();
            }, 1_000);
        }
    }

    #tell() {
        const now = performance.now();
        // The meter runs only while bytes come; in between the rate is what came since, over a second at least.
        const bytesPerSecond = (this.#bytes * 1_000) / Math.max(1_000, now - this.#bytesSince);
        this.receiver.quality({ latencyMillis: this.#latencyMillis, bytesPerSecond });
        if (this.#meter === undefined) {
            this.#bytes = 0;
            this.#bytesSince = now;
        }
    }

    /**
     * @param {Status} status
     * @param {string} reason
     */
    #setStatus(status, reason) {
        this.#status = status;
        this.receiver.status(status, reason);
    }
}
