/** Growing, jittered delays (ms), so that not all pages return to a server at the same moment. */
export class Backoff {
	tries = 0;

	constructor({ first = 500, most = 30_000, factor = 2 } = {}) {
		this.step = () => Math.min(most, first * factor ** this.tries++);
	}

	/** Return the next delay: between half a step and a whole one. */
	next() {
		return jittered(this.step());
	}
}

/** Return a random delay between half of `delay` and all of it. @param {number} delay */
export function jittered(delay) {
	return delay * (0.5 + Math.random() / 2);
}

/**
 * Wait for `delay` ms, or until `signal` aborts.
 * @param {number} delay @param {AbortSignal} signal @returns {Promise<void>}
 */
export function pause(delay, signal) {
	return new Promise((resolve) => {
		const timer = setTimeout(end, delay);
		signal.addEventListener("abort", end);
		function end() {
			clearTimeout(timer);
			signal.removeEventListener("abort", end);
			resolve();
		}
	});
}
