// @ts-check
/**
 * What the server does besides the stream: docs/PROTOCOL.md, "HTTP API".
 */

/**
 * @typedef {object} Session
 * @property {string} name
 * @property {string} [state]
 * @property {string} [image]
 * @property {string} [created] ISO 8601
 * @property {readonly string[]} actions what this server offers: `suspend`, `resume`, `snapshot`, `history`, `fork`, `send-file`, `fetch-file`
 */

/**
 * @typedef {object} Snapshot
 * @property {string} snapshot its id
 * @property {string} created ISO 8601
 * @property {string} [kind]
 * @property {number} [bytes_new]
 * @property {boolean} [checkpoint] whether its programs are kept; else it is booted
 * @property {boolean} [thumbnail] whether there is a picture of it
 * @property {string[]} [windows] titles of those that were open
 * @property {string} [label]
 */

/** Something that the server refused or could not do, in words for a person. */
export class ServiceError extends Error {
    /**
     * @param {string} message
     * @param {number} [status] of HTTP
     */
    constructor(message, status) {
        super(message);
        this.status = status;
    }
}

/** Nobody answered. */
export class SilenceError extends ServiceError {
    constructor() {
        super('The session’s server did not answer.');
    }
}

/**
 * @param {string} path after /api/
 * @param {RequestInit} [init]
 */
async function call(path, init) {
    let response;
    try {
        response = await fetch(`/api/${path}`, { cache: 'no-store', ...init });
    } catch {
        throw new SilenceError();
    }
    const text = await response.text();
    /** @type {any} */
    let answer = {};
    try {
        answer = text === '' ? {} : JSON.parse(text);
    } catch {
        // Said below, if it is not what was asked for.
    }
    if (!response.ok) {
        throw new ServiceError(refusal(response.status, answer));
    }
    return answer;
}

/**
 * @param {number} status
 * @param {any} answer
 */
function refusal(status, answer) {
    if (typeof answer?.error === 'string' && answer.error !== '') {
        return answer.error;
    }
    switch (status) {
        case 403:
            return 'This link may not do that.';
        case 404:
            return 'There is no such thing.';
        case 413:
            return 'That is too large.';
        default:
            return `The server answered ${status}.`;
    }
}

/**
 * @param {string} path
 * @param {object} [body]
 */
function post(path, body) {
    return call(path, {
        method: 'POST',
        headers: body ? { 'Content-Type': 'application/json' } : {},
        body: body ? JSON.stringify(body) : undefined,
    });
}

/** @returns {Promise<Session>} */
export async function session() {
    const answer = await call('session');
    const actions = Array.isArray(answer.actions) ? answer.actions.filter((/** @type {unknown} */ a) => typeof a === 'string') : [];
    return { ...answer, name: String(answer.name ?? ''), actions };
}

/** @returns {Promise<number>} the status that the server answers with, 0 if it does not */
export async function probe() {
    try {
        return (await fetch('/api/session', { cache: 'no-store' })).status;
    } catch {
        return 0;
    }
}

export const suspend = () => post('suspend');
/** @param {string} [at] a snapshot's id; without it, as it was suspended */
export const resume = at => post('resume', at ? { at } : undefined);
export const snapshot = () => post('snapshot');

/**
 * @param {string} name of the new session
 * @param {string} [from] a snapshot's id; without it, as it is now
 */
export const fork = (name, from) => post('fork', from ? { name, snapshot: from } : { name });

/** @returns {Promise<Snapshot[]>} the newest first */
export async function history() {
    const answer = await call('history');
    /** @type {Snapshot[]} */
    const snapshots = Array.isArray(answer.snapshots) ? answer.snapshots : [];
    return [...snapshots].sort((a, b) => Date.parse(b.created) - Date.parse(a.created));
}

/** @param {string} id */
export const thumbnailUrl = id => `/api/history/${encodeURIComponent(id)}/thumbnail`;

/** @param {string} path in the session, from the user's home */
export const fileUrl = path => `/api/files?path=${encodeURIComponent(path)}`;

/**
 * Whether a file can be fetched; a link that is clicked does not say.
 *
 * @param {string} path
 */
export async function checkFile(path) {
    let response;
    try {
        response = await fetch(fileUrl(path), { method: 'HEAD', cache: 'no-store' });
    } catch {
        throw new SilenceError();
    }
    if (!response.ok) {
        /** @type {Record<number, string>} */
        const words = { 403: `The session’s user may not read “${path}”.`, 404: `There is no file “${path}” in the session.`, 409: `“${path}” is no file.` };
        throw new ServiceError(words[response.status] ?? refusal(response.status, {}), response.status);
    }
}

/**
 * @typedef {object} Entry
 * @property {string} name
 * @property {'directory' | 'file' | 'other'} type
 * @property {number} [bytes]
 * @property {string} [modified] ISO 8601
 */

/**
 * @typedef {object} Listing
 * @property {string} path the whole one
 * @property {string} home
 * @property {Entry[]} entries in no order
 * @property {boolean} whole whether these are all
 * @property {number} room how large a file may be that is sent
 */

/**
 * What is in a directory of the session.
 *
 * @param {string} path from the user's home
 * @returns {Promise<Listing>}
 */
export const files = path => call(`files/list?path=${encodeURIComponent(path)}`);

/** It was given up here. */
export class CancelledError extends Error {}

/**
 * @param {File} file
 * @param {(share: number) => void} progress between 0 and 1
 * @returns {{done: Promise<string>, cancel: () => void}} the path that it has in the session
 */
export function sendFile(file, progress) {
    // fetch() does not tell how far an upload is.
    const request = new XMLHttpRequest();
    /** @type {Promise<string>} */
    const done = new Promise((resolve, reject) => {
        request.open('POST', `/api/files?name=${encodeURIComponent(file.name)}`);
        request.setRequestHeader('Content-Type', 'application/octet-stream');
        request.upload.onprogress = event => event.lengthComputable && progress(event.loaded / event.total);
        request.onerror = () => reject(new ServiceError(`“${file.name}” could not be sent: the connection broke off.`));
        request.onabort = () => reject(new CancelledError());
        request.onload = () => {
            /** @type {any} */
            let answer = {};
            try {
                answer = JSON.parse(request.responseText);
            } catch {
                // The status has to do.
            }
            if (request.status >= 200 && request.status < 300) {
                resolve(String(answer.path ?? file.name));
            } else {
                reject(new ServiceError(refusal(request.status, answer)));
            }
        };
        request.send(file);
    });
    return { done, cancel: () => request.abort() };
}
