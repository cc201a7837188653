import { Backoff, pause } from "./backoff.js";
import { emit, isJobFrame, on } from "./events.js";
/** @import { JobsClient } from "../client.js" */
/** @import { Subscription } from "./subscription.js" */
/** @import { Connected, Fetch, Frame, Job } from "../types.d.ts" */

const TIMEOUT = 10_000; // ms for one answer
const EVENT_OF = new Map([["pending", "created"], ["running", "progress"], ["complete", "ready"]]); // else the state's name

/**
 * Ask for the JSON of one job, or of my jobs, again and again, where no socket can be had. The server's `Retry-After`
 * is the shortest pause; a long job and a failing server are asked less often.
 *
 * Events: `frames`; `down` (no answer); `gone` (404; it has stopped by itself).
 */
export class Polling extends EventTarget {
	/** @type {AbortController | null} */ #running = null;

	/** @param {string} url @param {Fetch} [fetch] @param {string} [ticket] */
	constructor(url, fetch = window.fetch.bind(window), ticket = "") {
		super();
		this.url = url;
		this.headers = { Accept: "application/json", ...(ticket && { "X-Job-Ticket": ticket }) };
		this.fetch = fetch;
	}

	start() {
		if (this.#running) return;
		this.#running = new AbortController();
		this.#run(this.#running.signal);
	}

	stop() {
		this.#running?.abort();
		this.#running = null;
	}

	/** @param {AbortSignal} signal */
	async #run(signal) {
		const backoff = new Backoff({ first: 1_000, most: 10_000, factor: 1.3 });
		while (!signal.aborted) {
			const retryAfter = await this.#ask(signal);
			await pause(Math.max(backoff.next(), retryAfter * 1_000), signal);
		}
	}

	/** Return the seconds that the server wants us to wait. @param {AbortSignal} signal */
	async #ask(signal) {
		const either = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)]);
		try {
			const response = await this.fetch(this.url, { headers: this.headers, cache: "no-store", signal: either });
			const answer = response.status === 404 ? null : await response.json();
			if (!signal.aborted) this.#tell(answer);
			return Number(response.headers.get("Retry-After"));
		} catch {
			if (!signal.aborted) emit(this, "down");
			return 0;
		}
	}

	/** @param {any} answer a frame, or a list of jobs, the newest first; null for a 404 */
	#tell(answer) {
		const frames = answer?.jobs?.map(frameOf).reverse() ?? [answer];
		if (frames.every(isJobFrame)) return emit(this, "frames", frames);
		if (answer !== null) return emit(this, "down");
		this.stop();
		emit(this, "gone");
	}
}

/** One polling for each thing that the page listens to and knows an address of. */
export class Pollings {
	/** @type {Map<string, Polling>} */ #pollings = new Map();

	/** @param {JobsClient} client @param {(connected: Connected) => void} become @param {(frame: Frame) => void} take */
	constructor(client, become, take) {
		this.client = client;
		this.become = become;
		this.take = take;
	}

	/** @param {Iterable<Subscription>} subscriptions */
	follow(subscriptions) {
		for (const it of subscriptions) if (it.poll && !this.#pollings.has(it.key)) this.#start(it, it.poll);
	}

	/** @param {string} key */
	drop(key) {
		this.#pollings.get(key)?.stop();
		this.#pollings.delete(key);
	}

	stop() {
		for (const key of [...this.#pollings.keys()]) this.drop(key);
	}

	/** @param {Subscription} subscription @param {string} url */
	#start(subscription, url) {
		const { topic, key } = subscription;
		const polling = new Polling(url, this.client.fetch, topic.ticket);
		this.#pollings.set(key, polling);
		on(polling, "frames", (frames) => {
			this.become("polling");
			for (const frame of frames) topic.job ? this.client.receive(frame, topic) : this.take({ ...frame, for: [topic] });
		});
		on(polling, "down", () => this.become(""));
		on(polling, "gone", () => subscription.gone());
		polling.start();
	}
}

/** @param {Job} job @returns {Frame} */
function frameOf(job) {
	return { event: EVENT_OF.get(job.state) ?? job.state, job };
}
