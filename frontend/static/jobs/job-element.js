import { JobsClient } from "./client.js";
import { on } from "./client/events.js";
import { setText } from "./elements/words.js";
/** @import { Job, Topic } from "./types.d.ts" */

/**
 * The base of the elements for any page: it listens to a topic while it is in a document.
 * `data-connected` shows whether it is live. A subclass may override the empty methods.
 */
export class LiveElement extends HTMLElement {
	/** @type {AbortController | null} */ #running = null;

	connectedCallback() {
		const { topic } = this;
		if (this.#running || !topic) return;
		this.#running = new AbortController();
		const { signal } = this.#running;
		this.begin(signal);
		const subscription = this.client.subscribe(topic, { signal, poll: this.pollUrl });
		on(subscription, "change", (job) => this.onChange(job));
		on(subscription, "gone", () => this.onGone());
		this.client.addEventListener("connected", () => this.#onConnected(signal), { signal });
		this.#showConnection();
	}

	disconnectedCallback() {
		this.#running?.abort();
		this.#running = null;
	}

	attributeChangedCallback() {
		restart(this);
	}

	get client() {
		return JobsClient.shared(this.dataset.socket);
	}

	/** What to listen to; null for nothing yet. @returns {Topic | null} */
	get topic() {
		return null;
	}

	/** The address to poll while there is no socket. */
	get pollUrl() {
		return this.dataset.url;
	}

	/**
	 * Prepare, before the subscription.
	 * @param {AbortSignal} _signal aborts when the element is taken out
	 */
	begin(_signal) {}

	/** Catch up on what happened before the connection came. @param {AbortSignal} _signal */
	catchUp(_signal) {}

	/** @param {Job} _job */
	onChange(_job) {}

	onGone() {}

	/**
	 * Fetch the list of my jobs, with those that somebody has seen.
	 * @param {AbortSignal} signal @returns {Promise<Job[]>}
	 */
	async fetchJobs(signal) {
		const headers = { Accept: "application/json" };
		const { url = "" } = this.dataset;
		const response = await fetch(url, { headers, signal }).catch(() => null);
		const body = await response?.json().catch(() => null);
		return body?.jobs ?? [];
	}

	/** Tell the page: a `job-change` event bubbles up. @param {Job} job */
	announce(job) {
		this.dispatchEvent(new CustomEvent("job-change", { detail: job, bubbles: true }));
	}

	/** @param {AbortSignal} signal */
	#onConnected(signal) {
		this.#showConnection();
		if (this.client.connected) this.catchUp(signal);
	}

	#showConnection() {
		this.dataset.connected = this.client.connected;
	}
}

/**
 * The base of `<job-status>` and `<job-progress>`, which show one job. The attribute `job`
 * names it, and `ticket` may hold a ticket for it. `data-state` shows the job's state.
 */
export class JobElement extends LiveElement {
	static observedAttributes = ["job", "ticket"];

	get topic() {
		const job = this.getAttribute("job");
		return job ? { job, ticket: this.getAttribute("ticket") ?? undefined } : null;
	}

	/** @param {Job} job */
	onChange(job) {
		this.dataset.state = job.state;
		this.render(job);
		this.announce(job);
	}

	onGone() {
		this.dataset.state = "gone";
	}

	/** Show the job. @param {Job} _job */
	render(_job) {}

	/**
	 * Write into the first element inside with this class. Make the element if it is missing.
	 * @param {string} name @param {string} text @param {string} [tag]
	 */
	write(name, text, tag) {
		setText(this.piece(name, tag), text);
	}

	/** @param {string} name @param {string} [tag] @returns {any} */
	piece(name, tag = "span") {
		const piece = this.querySelector(`.jobs-${name}`);
		if (piece) return piece;
		const made = document.createElement(tag);
		made.className = `jobs-${name}`;
		this.append(made);
		return made;
	}
}

/**
 * Start an element again after its attributes have changed. Morphing changes them one by one, so
 * wait until it has set all of them.
 * @param {HTMLElement & {connectedCallback(): void, disconnectedCallback(): void}} element
 */
export function restart(element) {
	if (!element.isConnected) return;
	element.disconnectedCallback();
	queueMicrotask(() => element.isConnected && element.connectedCallback());
}

/** @param {string} name @param {CustomElementConstructor} element */
export function define(name, element) {
	if (!customElements.get(name)) customElements.define(name, element);
}
