import { emit, ENDED } from "./events.js";
/** @import { Frame, Job, SubscribeOptions, Topic } from "../types.d.ts" */

/**
 * What one part of the page listens to. It emits each frame's event, then `change`; and `gone`.
 * It passes on only newer versions of a job, and each job's end once.
 */
export class Subscription extends EventTarget {
	/** @type {Map<string, {version: number, hasEnded: boolean}>} by job */ #seen = new Map();
	/** @type {PromiseWithResolvers<Job>} */ #end = Promise.withResolvers();
	/** The first job that ends. Rejects when the subscription ends before. */
	ended = this.#end.promise;

	/**
	 * @param {Topic} topic @param {SubscribeOptions} options
	 * @param {(it: Subscription) => void} remove
	 */
	constructor(topic, { version, poll }, remove) {
		super();
		this.topic = { ...topic };
		this.key = keyOf(topic);
		if (!this.key) throw new TypeError('subscribe to {job: "…"}, {mine: true} or {tag: "…"}');
		this.poll = poll;
		this.remove = remove;
		if (topic.job && version) this.#seen.set(topic.job, { version, hasEnded: false });
		this.ended.catch(() => {}); // nobody has to await it
	}

	/** Stop listening; may be called twice. */
	unsubscribe() {
		this.remove(this);
		this.#end.reject(new DOMException("unsubscribed", "AbortError"));
	}

	/** The server has nothing of this name for us. */
	gone() {
		this.remove(this);
		this.#end.reject(new Error(`not found: ${this.key}`));
		emit(this, "gone");
	}

	/** @param {Frame} frame */
	receive({ event, job, for: topics }) {
		if (!this.#isOurs(job.id, topics) || !this.#isNews(job)) return;
		emit(this, event, job);
		emit(this, "change", job);
		if (ENDED.has(job.state)) this.#end.resolve(job);
	}

	/** @param {string} id @param {Topic[]} [topics] */
	#isOurs(id, topics) {
		if (this.topic.job === id) return true;
		if (topics?.some((topic) => keyOf(topic) === this.key)) return true;
		return !this.topic.job && !topics;
	}

	/** @param {Job} job */
	#isNews({ id, version, state }) {
		const seen = this.#seen.get(id);
		const hasEnded = ENDED.has(state);
		const isNewEnd = hasEnded && seen?.version === version && !seen.hasEnded;
		if (seen && seen.version >= version && !isNewEnd) return false;
		this.#seen.set(id, { version, hasEnded });
		return true;
	}
}

/** Name a topic. Subscriptions with the same key share one on the wire. @param {Topic} topic */
export function keyOf({ job, mine, tag }) {
	return (job && `job:${job}`) || (tag && `tag:${tag}`) || (mine && "mine") || "";
}
