/** Growing, jittered delays (ms): the pages that lost one server must not come back all at once. */
export class Backoff {
	tries = 0;

	constructor({ first = 500, most = 30_000, factor = 2 } = {}) {
		this.step = () => Math.min(most, first * factor ** this.tries++);
	}

	/** Between half a step and a whole one. */
	next() {
		return jittered(this.step());
	}
}

/** Between half of it and the whole. @param {number} delay */
export function jittered(delay) {
	return delay * (0.5 + Math.random() / 2);
}

/** Wait, but no longer than until `signal` aborts. @param {number} delay ms @param {AbortSignal} signal @returns {Promise<void>} */
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
