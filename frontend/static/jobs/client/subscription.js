import { emit, ENDED } from "./events.js";
/** @import { Frame, Job, SubscribeOptions, Topic } from "../types.d.ts" */

/**
 * What one part of the page listens to. Emits the frames' events, `change` after each, and `gone`. Of each job only
 * newer versions are heard, and each end once.
 */
export class Subscription extends EventTarget {
	/** @type {Map<string, {version: number, told: boolean}>} */ #seen = new Map();
	/** @type {PromiseWithResolvers<Job>} */ #end = Promise.withResolvers();
	/** The first job that ends; rejects when nobody listens any more. */
	ended = this.#end.promise;

	/** @param {Topic} topic @param {SubscribeOptions} options @param {(it: Subscription) => void} leave */
	constructor(topic, { version, poll }, leave) {
		super();
		this.topic = { ...topic };
		this.key = keyOf(topic);
		if (!this.key) throw new TypeError('subscribe to {job: "…"}, {mine: true} or {tag: "…"}');
		this.poll = poll;
		this.leave = leave;
		if (topic.job && version) this.#seen.set(topic.job, { version, told: false });
		this.ended.catch(() => {});
	}

	/** Stop listening; may be called twice. */
	unsubscribe() {
		this.leave(this);
		this.#end.reject(new DOMException("unsubscribed", "AbortError"));
	}

	gone() {
		this.leave(this);
		this.#end.reject(new Error(`not found: ${this.key}`));
		emit(this, "gone");
	}

	/** @param {Frame} frame */
	receive({ event, job, for: targets }) {
		if (!this.#isOurs(job.id, targets) || !this.#isNews(job)) return;
		emit(this, event, job);
		emit(this, "change", job);
		if (ENDED.has(job.state)) this.#end.resolve(job);
	}

	/** @param {string} id @param {Topic[]} [targets] */
	#isOurs(id, targets) {
		if (this.topic.job === id || targets?.some((target) => keyOf(target) === this.key)) return true;
		return !this.topic.job && !targets;
	}

	/** @param {Job} job */
	#isNews({ id, version, state }) {
		const seen = this.#seen.get(id);
		const told = ENDED.has(state);
		const isUntold = told && seen?.version === version && !seen.told;
		if (seen && seen.version >= version && !isUntold) return false;
		this.#seen.set(id, { version, told });
		return true;
	}
}

/** Two subscriptions of one key share one on the wire. @param {Topic} topic */
export function keyOf({ job, mine, tag }) {
	return (job && `job:${job}`) || (tag && `tag:${tag}`) || (mine && "mine") || "";
}
