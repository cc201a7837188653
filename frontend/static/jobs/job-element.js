import { JobsClient } from "./client.js";
import { on } from "./client/events.js";
/** @import { Job } from "./types.d.ts" */

/**
 * What `<job-status>` and `<job-progress>` have in common: each follows the job that its attribute `job` names, with
 * the `ticket` if it has one. A `job-change` event (detail: the job) bubbles up from each change; `data-connected`
 * tells whether the element is live, `data-state` how the job is.
 */
export class JobElement extends HTMLElement {
	static observedAttributes = ["job", "ticket"];
	/** @type {AbortController | null} */ #running = null;

	connectedCallback() {
		const job = this.getAttribute("job");
		if (this.#running || !job) return;
		this.#running = new AbortController();
		const { signal } = this.#running;
		const client = JobsClient.shared(this.dataset.socket);
		const showConnection = () => (this.dataset.connected = client.connected);
		client.addEventListener("connected", showConnection, { signal });
		const topic = { job, ticket: this.getAttribute("ticket") ?? undefined };
		const subscription = client.subscribe(topic, { signal, poll: this.dataset.url });
		on(subscription, "change", (job) => this.#hear(job));
		on(subscription, "gone", () => (this.dataset.state = "gone"));
		showConnection();
	}

	disconnectedCallback() {
		this.#running?.abort();
		this.#running = null;
	}

	attributeChangedCallback() {
		restart(this);
	}

	/** Show the job. @param {Job} _job */
	render(_job) {}

	/** The first element inside with this class, made if it is not there. @param {string} name @param {string} tag @returns {any} */
	piece(name, tag = "span") {
		const part = this.querySelector(`.jobs-${name}`);
		if (part) return part;
		const made = document.createElement(tag);
		made.className = `jobs-${name}`;
		this.append(made);
		return made;
	}

	/** @param {Element} part @param {string} text */
	write(part, text) {
		if (part.textContent !== text) part.textContent = text;
	}

	/** @param {Job} job */
	#hear(job) {
		this.dataset.state = job.state;
		this.render(job);
		this.dispatchEvent(new CustomEvent("job-change", { detail: job, bubbles: true }));
	}
}

/**
 * Follow what the attributes name now, once all of them are set: morphing changes them one by one.
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
