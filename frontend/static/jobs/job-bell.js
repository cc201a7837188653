import { ENDED } from "./client/events.js";
import { inDigits, setText, word } from "./elements/words.js";
import { define, LiveElement } from "./job-element.js";
import "./job-list.js";
/** @import { Job } from "./types.d.ts" */

/**
 * `<job-bell>`: how many of my jobs have ended unseen, and a list of them and of those at work.
 *
 * It turns the link that the server has written (`job_bell.html`) into a button. The server knows
 * what is unseen, so the number survives a change of the page and follows other open pages.
 */
export class JobBell extends LiveElement {
	/** @type {Map<string, Job>} */ #jobs = new Map();

	get topic() {
		return this.querySelector("a") && { mine: true };
	}

	/** @param {AbortSignal} signal */
	begin(signal) {
		this.#build(/** @type {HTMLAnchorElement} */ (this.querySelector("a")));
		const toggle = () => this.toggle(Boolean(this.panel.hidden));
		this.button.addEventListener("click", toggle, { signal });
		this.addEventListener("keydown", (event) => this.#onKey(event), { signal });
		this.addEventListener("focusout", (event) => this.#onFocusOut(event), { signal });
		document.addEventListener("pointerdown", (event) => this.#onPress(event), { signal });
		document.addEventListener("visibilitychange", () => this.catchUp(signal), { signal });
		if (this.client.connected) this.catchUp(signal);
	}

	disconnectedCallback() {
		super.disconnectedCallback();
		this.#jobs.clear();
	}

	/** Drop the jobs that somebody has seen on another page. @param {AbortSignal} signal */
	async catchUp(signal) {
		if (!this.dataset.url || document.hidden) return;
		const jobs = await this.fetchJobs(signal);
		for (const { id, claimed } of jobs) if (claimed) this.#jobs.delete(id);
		this.#showCount();
	}

	/** @param {Job} job */
	onChange(job) {
		const before = this.#jobs.get(job.id);
		const hasEnded = before && !ENDED.has(before.state) && ENDED.has(job.state);
		if (job.claimed) this.#jobs.delete(job.id);
		else this.#jobs.set(job.id, job);
		if (hasEnded && !job.claimed) this.#announceEnd(job);
		this.#showCount();
	}

	/** @type {HTMLButtonElement} */
	get button() {
		return /** @type {HTMLButtonElement} */ (this.querySelector("button"));
	}

	/** @type {HTMLElement} */
	get panel() {
		return /** @type {HTMLElement} */ (this.querySelector(".jobs-panel"));
	}

	/** Open or close the list. */
	toggle(open = true) {
		if (open && !this.querySelector("job-list")) this.panel.prepend(this.#makeList());
		this.panel.hidden = !open;
		delete this.dataset.side;
		const { left, right } = this.panel.getBoundingClientRect();
		const isCutOff = left < 0 || right > document.documentElement.clientWidth;
		if (isCutOff) this.dataset.side = "start";
		this.button.setAttribute("aria-expanded", String(open));
	}

	/** @param {HTMLAnchorElement} link */
	#build(link) {
		if (this.querySelector("button")) return this.toggle(false); // moved, or a cached copy
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
		for (const { name, value } of this.attributes) {
			if (name.startsWith("data-")) list.setAttribute(name, value);
		}
		const empty = document.createElement("p");
		empty.className = "jobs-empty";
		empty.textContent = word(this, "nothing");
		list.append(empty);
		return list;
	}

	/** Say that a job has ended, unless this page is the job's own. @param {Job} job */
	#announceEnd(job) {
		if (document.querySelector(`.jobs-waiting[data-job="${CSS.escape(job.id)}"]`)) return;
		const text = word(this, job.state);
		const spoken = /** @type {HTMLElement} */ (this.querySelector("[aria-live]"));
		spoken.textContent = `${job.header}: ${text}`; // even if equal, so that it is spoken again
		import("./waiting/background.js").then(({ notify }) => notify(job, text), () => {});
	}

	#showCount() {
		const unseen = [...this.#jobs.values()].filter(({ state }) => ENDED.has(state)).length;
		const text = unseen ? word(this, "new").replace("{count}", inDigits(unseen)) : "";
		this.dataset.unseen = String(unseen);
		setText(this.querySelector(".jobs-count"), text);
	}

	/** @param {KeyboardEvent} event */
	#onKey({ key }) {
		if (key !== "Escape" || this.panel.hidden) return;
		this.toggle(false);
		this.button.focus();
	}

	/** @param {FocusEvent} event */
	#onFocusOut({ relatedTarget }) {
		if (relatedTarget instanceof Node && !this.contains(relatedTarget)) this.toggle(false);
	}

	/** @param {Event} event */
	#onPress({ target }) {
		if (target instanceof Node && !this.contains(target)) this.toggle(false);
	}
}

define("job-bell", JobBell);
