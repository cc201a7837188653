import { JobsClient } from "./client.js";
import { on } from "./client/events.js";
import { define, restart } from "./job-element.js";
import { createdAt, makeItem, renderItem, showTime } from "./job-item.js";
/** @import { Job, Topic } from "./types.d.ts" */

const MOST = 100; // items; the oldest make room

/**
 * `<job-list>`: my jobs, live, newest first; with the attributes `tag` and `ticket` everybody's jobs of that tag. It
 * takes over the items that the server has written (`job_list.html`), and needs none. A `job-change` event (detail:
 * the job) bubbles up from each change; `data-connected` tells whether the list is live.
 */
export class JobList extends HTMLElement {
	static observedAttributes = ["tag", "ticket"];
	/** @type {AbortController | null} */ #running = null;
	/** @type {Map<string, HTMLElement>} */ #items = new Map();

	connectedCallback() {
		if (this.#running) return;
		this.#running = new AbortController();
		const { signal } = this.#running;
		for (const item of this.querySelectorAll("li")) this.#adopt(item);
		const client = JobsClient.shared(this.dataset.socket);
		const showConnection = () => (this.dataset.connected = client.connected);
		client.addEventListener("connected", showConnection, { signal });
		client.addEventListener("connected", () => this.#catchUp(signal), { signal });
		const poll = this.topic.mine ? this.dataset.url : undefined; // a tag has no page that could be asked
		on(client.subscribe(this.topic, { signal, poll }), "change", (job) => this.#hear(job));
		showConnection();
	}

	/** The socket begins with jobs that nobody has claimed; what was claimed while we did not hear is asked for. @param {AbortSignal} signal */
	async #catchUp(signal) {
		if (!this.dataset.url || !this.dataset.connected || this.hasAttribute("tag")) return;
		const headers = { Accept: "application/json" };
		const response = await fetch(this.dataset.url, { headers, signal }).catch(() => null);
		const answer = await response?.json().catch(() => null);
		for (const job of answer?.jobs ?? []) if (this.#items.has(job.id)) this.#hear(job);
	}

	disconnectedCallback() {
		this.#running?.abort();
		this.#running = null;
		this.#items.clear();
	}

	attributeChangedCallback() {
		restart(this);
	}

	/** @returns {Topic} */
	get topic() {
		const tag = this.getAttribute("tag");
		return tag ? { tag, ticket: this.getAttribute("ticket") ?? undefined } : { mine: true };
	}

	get list() {
		const list = this.querySelector("ul") ?? this.appendChild(document.createElement("ul"));
		list.setAttribute("role", "list"); // which Safari forgets where the bullets are gone
		return list;
	}

	/** @param {HTMLElement} item */
	#adopt(item) {
		showTime(item);
		this.#items.set(item.dataset.job ?? "", item);
	}

	/** @param {Job} job */
	#hear(job) {
		if (job.claimed && !this.#items.has(job.id)) return; // seen long ago
		const item = this.#items.get(job.id) ?? this.#add(job);
		if (job.version <= Number(item.dataset.version)) return;
		renderItem(item, job, this);
		this.dispatchEvent(new CustomEvent("job-change", { detail: job, bubbles: true }));
	}

	/** @param {Job} job */
	#add(job) {
		const item = makeItem(job, this.hasAttribute("tag") ? "bdi" : "a"); // a colleague cannot open what they look on
		const older = [...this.list.children].find((other) => createdAt(other) < (job.created_at ?? ""));
		this.list.insertBefore(item, older ?? null);
		this.#items.set(job.id, item);
		this.querySelector(".jobs-empty")?.setAttribute("hidden", "");
		if (this.#items.size > MOST) this.#dropOldest();
		return item;
	}

	#dropOldest() {
		const oldest = /** @type {HTMLElement} */ (this.list.lastElementChild);
		this.#items.delete(oldest.dataset.job ?? "");
		oldest.remove();
	}
}

define("job-list", JobList);
