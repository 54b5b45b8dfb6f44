// @ts-check
/**
 * A worker that only says when time has passed: a page in the background has its own timers held back to one a minute, which is when
 * the server gives a silent viewer up.
 */
setInterval(() => postMessage(undefined), 10_000);
