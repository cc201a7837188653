import { define, LiveElement } from "./job-element.js";
import { createdAt, makeItem, renderItem, showTime } from "./job-item.js";
/** @import { Job } from "./types.d.ts" */

const MAX_ITEMS = 100; // when there are more, the oldest goes

/**
 * `<job-list>`: my jobs, live, newest first; or with the attributes `tag` and `ticket` everybody's
 * jobs of that tag. It adopts the items that the server has written (`job_list.html`), if any.
 */
export class JobList extends LiveElement {
	static observedAttributes = ["tag", "ticket"];
	/** @type {Map<string, HTMLElement>} */ #items = new Map();

	get topic() {
		const tag = this.#tag;
		return tag ? { tag, ticket: this.getAttribute("ticket") ?? undefined } : { mine: true };
	}

	/** A tag has no page that could be polled. */
	get pollUrl() {
		return this.#tag ? undefined : this.dataset.url;
	}

	get #tag() {
		return this.getAttribute("tag");
	}

	begin() {
		for (const item of this.querySelectorAll("li")) this.#adopt(item);
	}

	disconnectedCallback() {
		super.disconnectedCallback();
		this.#items.clear();
	}

	/**
	 * The socket starts with unclaimed jobs, so fetch those claimed while we were offline.
	 * @param {AbortSignal} signal
	 */
	async catchUp(signal) {
		if (!this.pollUrl) return;
		for (const job of await this.fetchJobs(signal)) {
			if (this.#items.has(job.id)) this.onChange(job);
		}
	}

	/** @param {Job} job */
	onChange(job) {
		if (job.claimed && !this.#items.has(job.id)) return; // somebody saw its end long ago
		const item = this.#items.get(job.id) ?? this.#add(job);
		if (job.version <= Number(item.dataset.version)) return;
		renderItem(item, job, this);
		this.announce(job);
	}

	get list() {
		const list = this.querySelector("ul") ?? this.appendChild(document.createElement("ul"));
		list.setAttribute("role", "list"); // Safari drops the role of a list without bullets
		return list;
	}

	/** @param {HTMLElement} item */
	#adopt(item) {
		showTime(item);
		this.#items.set(item.dataset.job ?? "", item);
	}

	/** @param {Job} job */
	#add(job) {
		const item = makeItem(job, this.#tag ? "bdi" : "a"); // only its owner can open a job
		const older = [...this.list.children].find((it) => createdAt(it) < (job.created_at ?? ""));
		this.list.insertBefore(item, older ?? null);
		this.#items.set(job.id, item);
		this.querySelector(".jobs-empty")?.setAttribute("hidden", "");
		if (this.#items.size > MAX_ITEMS) this.#dropOldest();
		return item;
	}

	#dropOldest() {
		const oldest = /** @type {HTMLElement} */ (this.list.lastElementChild);
		this.#items.delete(oldest.dataset.job ?? "");
		oldest.remove();
	}
}

define("job-list", JobList);
