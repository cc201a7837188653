import { ENDED } from "../client/events.js";
import { inNumbers, inPercent, setText, word } from "../elements/words.js";
import { Speech } from "./speech.js";
/** @import { Job, Progress } from "../types.d.ts" */

/** @typedef {keyof typeof WAYS_OUT} Reason why the page cannot go on by itself */

/** The buttons and links of the page, and which of them help the reader after the page gave up. */
const WAYS = ["cancel", "leave", "ready", "reload", "list", "login", "result"];
const WAYS_OUT = {
	stale: ["reload"],
	signed_out: ["login"],
	stuck: ["ready", "list"],
	unreachable: ["ready"],
	gone: ["reload", "list", "login"],
	downloaded: ["result", "list"],
};

/** The elements of `waiting_card.html`. All texts are written as text, never as HTML. */
export class WaitingView {
	/** @param {HTMLElement} root */
	constructor(root) {
		this.root = root;
		this.since = performance.now();
		this.state = root.dataset.state ?? "";
		/** @type {Job | undefined} */ this.job = undefined;
		this.speech = new Speech((text) => this.write("spoken", text));
		this.showForms();
	}

	/** @returns {any} an element, or null */
	part(name = "") {
		return this.root.querySelector(`[data-part=${name}]`);
	}

	/** @param {Job} job */
	render(job) {
		this.job = job;
		this.root.dataset.version = String(job.version);
		this.write("header", job.header);
		this.write("message", job.message);
		this.write("error", job.error ?? "");
		if (job.state !== this.state) this.showState(job.state);
		if (job.progress && !ENDED.has(job.state)) this.showProgress(job.progress);
	}

	showState(state = "") {
		this.root.dataset.state = this.state = state;
		this.speech.hush();
		this.say("word", state);
		this.title(word(this.root, state));
		this.showForms();
	}

	/** Show what the state allows, and keep the keyboard's focus on the page. */
	showForms() {
		const hasEnded = ENDED.has(this.state);
		const hadFocus = this.part("cancel")?.contains(document.activeElement);
		this.toggle("cancel", !hasEnded);
		this.toggle("ready", hasEnded);
		this.toggle("leave", !hasEnded);
		this.toggle("retry", hasEnded && this.state !== "complete");
		if (hasEnded && hadFocus) this.root.querySelector("h1")?.focus();
	}

	/**
	 * Say why the page does nothing more, and show only what helps then.
	 * @param {Reason} reason
	 */
	giveUp(reason) {
		if (reason === "signed_out" && !this.part("login")) reason = "gone"; // visitors cannot
		const waysOut = WAYS_OUT[reason];
		if (waysOut.includes("ready")) this.root.dataset.stuck = "";
		if (reason === "gone") this.root.dataset.state = "gone";
		this.say("word", reason === "gone" ? "" : this.state);
		this.say("note", reason);
		this.say("link", "");
		for (const part of WAYS) this.toggle(part, waysOut.includes(part));
	}

	/** @param {Progress} progress */
	showProgress(progress) {
		const { message, percent } = progress;
		const text = inPercent(percent);
		this.write("detail", message);
		this.write("count", inNumbers(this.root, progress));
		this.write("percent", text);
		if (percent === null) return this.part("bar").removeAttribute("value");
		this.part("bar").value = percent;
		this.title(text);
		this.speech.progress(percent, text);
	}

	/** A hidden tab shows nothing but its title. */
	title(text = "") {
		document.title = `${text} · ${this.part("header").textContent}`;
	}

	/** Write one of the page's words (`words.html`) into a part, or empty the part. */
	say(part = "", name = "") {
		this.write(part, name && word(this.root, name));
	}

	toggle(name = "", shown = true) {
		const part = this.part(name);
		if (part) part.hidden = !shown;
	}

	write(name = "", text = "") {
		setText(this.part(name), text);
	}
}
