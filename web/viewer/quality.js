// @ts-check
/**
 * How good the link is: numbers, and a line of the last measurements.
 */
import { bytes, element } from './page.js';

/** @typedef {import('./connection.js').Quality} Quality */

const SAMPLES = 40;

export class QualityView {
    /** @type {number[]} */
    #latencies = [];

    /** @param {Quality} quality */
    add({ latencyMillis, bytesPerSecond }) {
        if (latencyMillis !== undefined) {
            this.#latencies.push(latencyMillis);
            this.#latencies.splice(0, this.#latencies.length - SAMPLES);
            const text = latencyMillis < 10 ? `${latencyMillis.toFixed(1)} ms` : `${Math.round(latencyMillis)} ms`;
            this.#show('latency', text);
            this.#show('fact-latency', text);
            this.#draw('sparkline', 60, 20);
            this.#draw('chart', 300, 80);
        }
        const rate = bytesPerSecond < 500 ? '0 kB/s' : `${bytes(bytesPerSecond)}/s`;
        this.#show('rate', rate);
        this.#show('fact-rate', rate);
        element('quality', HTMLButtonElement).setAttribute(
            'aria-label',
            `Connection: latency ${element('latency', HTMLElement).textContent}, receiving ${rate}`,
        );
    }

    /** There is none. */
    clear() {
        for (const id of ['latency', 'fact-latency', 'rate', 'fact-rate']) {
            this.#show(id, '–');
        }
    }

    /**
     * @param {string} id
     * @param {string} text
     */
    #show(id, text) {
        element(id, HTMLElement).textContent = text;
    }

    /**
     * @param {string} id
     * @param {number} width
     * @param {number} height
     */
    #draw(id, width, height) {
        const svg = element(id, SVGSVGElement);
        // From nothing, so that a steady link looks steady; twenty milliseconds at least, or noise would look like mountains.
        const top = Math.max(20, ...this.#latencies) * 1.15;
        const step = width / (SAMPLES - 1);
        const first = width - (this.#latencies.length - 1) * step;
        const rowOf = (/** @type {number} */ latency) => (height - (latency / top) * height).toFixed(1);
        // Before the first measurement it is taken to have been the same.
        const points = [`0,${rowOf(this.#latencies[0] ?? 0)}`, ...this.#latencies.map((latency, i) => `${(first + i * step).toFixed(1)},${rowOf(latency)}`)];
        const line = `M${points.join('L')}`;
        svg.querySelector('.line')?.setAttribute('d', line);
        svg.querySelector('.area')?.setAttribute('d', `${line}L${width},${height}L0,${height}Z`);
    }
}
