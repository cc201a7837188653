import { Backoff, pause } from "./backoff.js";
import { emit, EVENT_OF, isJobFrame, on } from "./events.js";
/** @import { JobsClient } from "../client.js" */
/** @import { Subscription } from "./subscription.js" */
/** @import { Connected, Fetch, Frame, Job, Topic } from "../types.d.ts" */

const POLL_TIMEOUT = 10_000; // ms for one response

/**
 * Polls the JSON of one job, or of my jobs, while no socket can be had. It waits at least for the
 * server's `Retry-After`. It polls a long job and a failing server less and less often.
 *
 * Events: `frames`; `down` (no response); `gone` (404, after which it stops by itself).
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
			const retryAfter = await this.#poll(signal);
			await pause(Math.max(backoff.next(), retryAfter * 1_000), signal);
		}
	}

	/**
	 * Poll once. Return the seconds that the server wants us to wait.
	 * @param {AbortSignal} aborted
	 */
	async #poll(aborted) {
		const signal = AbortSignal.any([aborted, AbortSignal.timeout(POLL_TIMEOUT)]);
		try {
			const { headers } = this;
			const response = await this.fetch(this.url, { headers, cache: "no-store", signal });
			const body = response.status === 404 ? null : await response.json();
			if (!aborted.aborted) this.#report(body);
			return Number(response.headers.get("Retry-After"));
		} catch {
			if (!aborted.aborted) emit(this, "down");
			return 0;
		}
	}

	/** @param {any} body a frame, or a list of jobs with the newest first; null for a 404 */
	#report(body) {
		const frames = body?.jobs?.map(frameOf).reverse() ?? [body];
		if (frames.every(isJobFrame)) return emit(this, "frames", frames);
		if (body !== null) return emit(this, "down");
		this.stop();
		emit(this, "gone");
	}
}

/** One `Polling` for each subscription that has an address to poll. */
export class Pollings {
	/** @type {Map<string, Polling>} */ #pollings = new Map();

	/**
	 * @param {JobsClient} client @param {(connected: Connected) => void} setConnected
	 * @param {(frame: Frame) => void} accept
	 */
	constructor(client, setConnected, accept) {
		this.client = client;
		this.setConnected = setConnected;
		this.accept = accept;
	}

	/** @param {Iterable<Subscription>} subscriptions */
	follow(subscriptions) {
		for (const it of subscriptions) {
			if (it.poll && !this.#pollings.has(it.key)) this.#start(it, it.poll);
		}
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
			this.setConnected("polling");
			for (const frame of frames) this.#pass(frame, topic);
		});
		on(polling, "down", () => this.setConnected(""));
		on(polling, "gone", () => subscription.gone());
		polling.start();
	}

	/** @param {Frame} frame @param {Topic} topic */
	#pass(frame, topic) {
		if (topic.job) this.client.receive(frame, topic);
		else this.accept({ ...frame, for: [topic] });
	}
}

/** @param {Job} job @returns {Frame} */
function frameOf(job) {
	return { event: EVENT_OF.get(job.state) ?? job.state, job };
}
