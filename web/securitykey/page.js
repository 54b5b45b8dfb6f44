// @ts-check
/**
 * Has a security key answer, by WebAuthn's PRF extension (level 3, §10.1.4), and hands the answer to the program that printed the link.
 * Nothing here verifies signatures: what the key answers opens the vault, or does not.
 */

/**
 * @typedef {object} Asked
 * @property {'enrol' | 'answer'} what
 * @property {string} relyingParty
 * @property {string} [user] of a new credential: its user's id
 * @property {string} [name] of a new credential: what the key or the browser may show
 * @property {{ id: string, salt: string }[]} credentials that there are; a new one is to be on another key
 * @property {string} [salt] for a new credential
 */

const MILLIS_MAX = 120_000;

/** The link's secret is taken out of what the browser shows and remembers. */
const secret = location.hash.slice(1);
history.replaceState(null, '', '/');

const title = element('title');
const said = element('said');
const button = /** @type {HTMLButtonElement} */ (element('go'));

/** @param {string} id */
function element(id) {
    const found = document.getElementById(id);
    if (found === null) {
        throw new Error(`no element ${id}`);
    }
    return found;
}

/** @param {string} text base64url */
function bytes(text) {
    return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (character) => character.charCodeAt(0));
}

/** @param {ArrayBuffer | ArrayBufferView<ArrayBuffer>} content */
function base64url(content) {
    const view = content instanceof ArrayBuffer ? new Uint8Array(content) : new Uint8Array(content.buffer, content.byteOffset, content.byteLength);
    return btoa(String.fromCharCode(...view)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/**
 * @param {string} path
 * @param {string} [body]
 */
async function post(path, body) {
    const response = await fetch(path, { method: 'POST', cache: 'no-store', headers: { Authorization: `Bearer ${secret}` }, body });
    if (!response.ok) {
        throw new Error(await response.text());
    }
    return response.text();
}

/**
 * Waits until the button is pressed, as browsers want before they ask for a key.
 *
 * @param {string} what
 * @param {string} label
 */
function pressed(what, label) {
    said.textContent = what;
    button.textContent = label;
    button.hidden = false;
    button.disabled = false;
    button.focus();
    return new Promise((resolve) => {
        button.onclick = () => {
            button.disabled = true;
            resolve(undefined);
        };
    });
}

/**
 * @param {Asked} asked
 * @param {{ id: string, salt: string }[]} credentials
 */
async function answer(asked, credentials) {
    /** @type {Record<string, AuthenticationExtensionsPRFValues>} */
    const evalByCredential = {};
    for (const { id, salt } of credentials) {
        evalByCredential[id] = { first: bytes(salt) };
    }
    const got = /** @type {PublicKeyCredential} */ (
        await navigator.credentials.get({
            publicKey: {
                challenge: crypto.getRandomValues(new Uint8Array(32)),
                rpId: asked.relyingParty,
                allowCredentials: credentials.map(({ id }) => ({ type: 'public-key', id: bytes(id) })),
                userVerification: 'required',
                timeout: MILLIS_MAX,
                extensions: { prf: { evalByCredential } },
            },
        })
    );
    const first = got.getClientExtensionResults().prf?.results?.first;
    if (first === undefined) {
        throw new DOMException('the key has no pseudo-random function', 'NoPrf');
    }
    await post('/answer', `${base64url(got.rawId)} ${base64url(/** @type {ArrayBuffer} */ (first))}`);
}

/** @param {Asked} asked */
async function enrol(asked) {
    const made = /** @type {PublicKeyCredential} */ (
        await navigator.credentials.create({
            publicKey: {
                challenge: crypto.getRandomValues(new Uint8Array(32)),
                rp: { id: asked.relyingParty, name: 'Satchel' },
                user: { id: bytes(asked.user ?? ''), name: asked.name ?? '', displayName: asked.name ?? '' },
                // ES256, Ed25519, RS256; none of their signatures is looked at.
                pubKeyCredParams: [-7, -8, -257].map((alg) => ({ type: 'public-key', alg })),
                excludeCredentials: asked.credentials.map(({ id }) => ({ type: 'public-key', id: bytes(id) })),
                authenticatorSelection: { residentKey: 'discouraged', userVerification: 'required' },
                attestation: 'none',
                timeout: MILLIS_MAX,
                extensions: { prf: {} },
            },
        })
    );
    if (made.getClientExtensionResults().prf?.enabled !== true) {
        throw new DOMException('the key has no pseudo-random function', 'NoPrf');
    }
    // Asked as it will be for unlocking: what is not answered now would not be then.
    await pressed('The key is registered. Use it once more, as you will to unlock the vault.', 'Use it once more');
    await answer(asked, [{ id: base64url(made.rawId), salt: asked.salt ?? '' }]);
}

async function run() {
    if (secret === '') {
        said.textContent = 'This link is not whole, or was opened before. Open it as Satchel printed it.';
        return;
    }
    try {
        /** @type {Asked} */
        const asked = JSON.parse(await post('/ask'));
        if (!('credentials' in navigator) || !('PublicKeyCredential' in window)) {
            throw new DOMException('no WebAuthn', 'NoWebAuthn');
        }
        title.textContent = asked.what === 'enrol' ? `Add a security key to ${asked.name}` : 'Unlock the vault';
        if (asked.what === 'enrol') {
            await pressed('A security key with a PIN or fingerprint reader, or this computer’s own.', 'Register a key');
            await enrol(asked);
        } else {
            await pressed('Have the security key at hand that was added to the vault.', 'Use the security key');
            await answer(asked, asked.credentials);
        }
        button.hidden = true;
        said.textContent = 'Done. You can close this page.';
    } catch (error) {
        button.hidden = true;
        const name = error instanceof DOMException ? error.name : 'Error';
        said.textContent = 'It did not work: see what Satchel says where you started it.';
        try {
            await post('/failed', name);
        } catch {
            said.textContent = 'Satchel does not wait any more. Start it again.';
        }
    }
}

await run();

export {};
