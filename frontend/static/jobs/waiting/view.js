import { ENDED } from "../client/events.js";
import { Speech } from "./speech.js";
import { inNumbers, inPercent, word } from "../elements/words.js";
/** @import { Job, Progress } from "../types.d.ts" */

/** The elements of `waiting_card.html`, into which all goes as text. */
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

	/** Also keeps the keyboard's place. */
	showForms() {
		const hasEnded = ENDED.has(this.state);
		const hadFocus = this.part("cancel")?.contains(document.activeElement);
		this.toggle("cancel", !hasEnded);
		this.toggle("ready", hasEnded);
		this.toggle("leave", !hasEnded);
		this.toggle("retry", hasEnded && this.state !== "complete");
		if (hasEnded && hadFocus) this.root.querySelector("h1")?.focus();
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

	/** A hidden tab has nothing else. */
	title(text = "") {
		document.title = `${text} · ${this.part("header").textContent}`;
	}

	/** Say one of the page's words, or nothing. */
	say(part = "", name = "") {
		this.write(part, name && word(this.root, name));
	}

	toggle(name = "", shown = true) {
		const part = this.part(name);
		if (part) part.hidden = !shown;
	}

	write(name = "", text = "") {
		const part = this.part(name);
		if (part && part.textContent !== text) part.textContent = text;
	}
}
