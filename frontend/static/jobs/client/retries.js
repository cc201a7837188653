import { Backoff, jittered } from "./backoff.js";

const DELAYS = { first: 4_000, most: 60_000 }; // ms

/**
 * Subscribes again to what the server refused with the error `too_many`.
 * The error may name the seconds to wait (`retry_after`). If it does not, the delays grow.
 */
export class Retries {
	/** @type {Map<string, {backoff: Backoff, timer: number}>} by subscription key */
	#retries = new Map();

	/** @param {(key: string) => void} subscribe */
	constructor(subscribe) {
		this.subscribe = subscribe;
	}

	/** @param {string} key @param {unknown} [retryAfter] seconds */
	schedule(key, retryAfter) {
		const backoff = this.#retries.get(key)?.backoff ?? new Backoff(DELAYS);
		const seconds = Number(retryAfter);
		const delay = seconds > 0 ? seconds * 1_000 + jittered(1_000) : backoff.next();
		this.drop(key);
		const timer = setTimeout(() => this.subscribe(key), delay);
		this.#retries.set(key, { backoff, timer });
	}

	/**
	 * Call it when the server accepts the subscription, or the page no longer wants it.
	 * @param {string} key
	 */
	drop(key) {
		clearTimeout(this.#retries.get(key)?.timer);
		this.#retries.delete(key);
	}

	/** A new connection subscribes to everything, so no retry is needed any more. */
	stop() {
		for (const key of [...this.#retries.keys()]) this.drop(key);
	}
}
