import { JobsClient } from "./client.js";
import { ENDED, on } from "./client/events.js";
import { define } from "./job-element.js";
import "./job-list.js";
import { inDigits, word } from "./elements/words.js";
/** @import { Job } from "./types.d.ts" */

/**
 * `<job-bell>`: how many of my jobs have ended and wait to be looked at, and a list of them and of those at work.
 *
 * It makes a button of the link that the server has written (`job_bell.html`), which works without it. What is unseen
 * is the server's knowledge, so the number survives a change of the page, and a look on another one.
 */
export class JobBell extends HTMLElement {
	/** @type {AbortController | null} */ #running = null;
	/** @type {Map<string, Job>} */ #jobs = new Map();

	connectedCallback() {
		const link = this.querySelector("a");
		if (this.#running || !link) return;
		this.#running = new AbortController();
		const { signal } = this.#running;
		this.#build(link);
		this.button.addEventListener("click", () => this.toggle(Boolean(this.panel.hidden)), { signal });
		this.addEventListener("keydown", (event) => this.#onKey(event), { signal });
		this.addEventListener("focusout", (event) => this.#onLeave(event), { signal });
		document.addEventListener("pointerdown", (event) => this.#onPress(event), { signal });
		document.addEventListener("visibilitychange", () => this.#catchUp(signal), { signal });
		const client = JobsClient.shared(this.dataset.socket);
		on(client.subscribe({ mine: true }, { signal, poll: this.dataset.url }), "change", (job) => this.#hear(job));
		client.addEventListener("connected", () => this.#showConnection(client, signal), { signal });
		this.#showConnection(client, signal);
	}

	disconnectedCallback() {
		this.#running?.abort();
		this.#running = null;
		this.#jobs.clear();
	}

	/** @type {HTMLButtonElement} */
	get button() {
		return /** @type {HTMLButtonElement} */ (this.querySelector("button"));
	}

	/** @type {HTMLElement} */
	get panel() {
		return /** @type {HTMLElement} */ (this.querySelector(".jobs-panel"));
	}

	/** Open the list or close it. */
	toggle(open = true) {
		if (open && !this.querySelector("job-list")) this.panel.prepend(this.#makeList());
		this.panel.hidden = !open;
		delete this.dataset.side;
		const { left, right } = this.panel.getBoundingClientRect();
		if (left < 0 || right > document.documentElement.clientWidth) this.dataset.side = "start"; // no room on the other
		this.button.setAttribute("aria-expanded", String(open));
	}

	/** @param {HTMLAnchorElement} link */
	#build(link) {
		if (this.querySelector("button")) return this.toggle(false); // it was taken out, or is a copy from a cache
		const button = document.createElement("button");
		const panel = document.createElement("div");
		Object.assign(button, { type: "button", className: "jobs-bell" });
		button.append(...link.childNodes);
		panel.className = "jobs-panel";
		panel.id = `jobs-panel-${document.querySelectorAll(".jobs-panel").length + 1}`;
		button.setAttribute("aria-controls", panel.id);
		link.textContent = word(this, "all");
		link.className = "";
		const spoken = document.createElement("span");
		spoken.className = "jobs-spoken";
		spoken.setAttribute("aria-live", "polite");
		panel.append(link);
		this.append(button, spoken, panel);
		this.toggle(false);
	}

	#makeList() {
		const list = document.createElement("job-list");
		for (const { name, value } of this.attributes) if (name.startsWith("data-")) list.setAttribute(name, value);
		const nothing = document.createElement("p");
		nothing.className = "jobs-empty";
		nothing.textContent = word(this, "nothing");
		list.append(nothing);
		return list;
	}

	/** @param {JobsClient} client @param {AbortSignal} signal */
	#showConnection(client, signal) {
		this.dataset.connected = client.connected;
		if (client.connected) this.#catchUp(signal);
	}

	/** @param {Job} job */
	#hear(job) {
		const before = this.#jobs.get(job.id);
		if (job.claimed) this.#jobs.delete(job.id);
		else this.#jobs.set(job.id, job);
		if (before && !job.claimed && !ENDED.has(before.state) && ENDED.has(job.state)) this.#tell(job);
		this.#count();
	}

	/** Say that a job has ended, unless its own page is the one that is looked at. @param {Job} job */
	#tell(job) {
		if (document.querySelector(`.jobs-waiting[data-job="${CSS.escape(job.id)}"]`)) return;
		const text = word(this, job.state);
		/** @type {HTMLElement} */ (this.querySelector("[aria-live]")).textContent = `${job.header}: ${text}`;
		import("./waiting/background.js").then(({ tell }) => tell(job, text), () => {});
	}

	/** What somebody has looked at meanwhile, on another page, is new no more. @param {AbortSignal} signal */
	async #catchUp(signal) {
		if (!this.dataset.url || document.hidden) return;
		const headers = { Accept: "application/json" };
		const response = await fetch(this.dataset.url, { headers, signal }).catch(() => null);
		const answer = await response?.json().catch(() => null);
		for (const { id, claimed } of answer?.jobs ?? []) if (claimed) this.#jobs.delete(id);
		this.#count();
	}

	#count() {
		const unseen = [...this.#jobs.values()].filter(({ state }) => ENDED.has(state)).length;
		const count = /** @type {HTMLElement} */ (this.querySelector(".jobs-count"));
		const text = unseen ? word(this, "new").replace("{count}", inDigits(unseen)) : "";
		this.dataset.unseen = String(unseen);
		if (count.textContent !== text) count.textContent = text;
	}

	/** @param {KeyboardEvent} event */
	#onKey({ key }) {
		if (key !== "Escape" || this.panel.hidden) return;
		this.toggle(false);
		this.button.focus();
	}

	/** @param {FocusEvent} event */
	#onLeave({ relatedTarget }) {
		if (relatedTarget instanceof Node && !this.contains(relatedTarget)) this.toggle(false);
	}

	/** @param {Event} event */
	#onPress({ target }) {
		if (target instanceof Node && !this.contains(target)) this.toggle(false);
	}
}

define("job-bell", JobBell);
