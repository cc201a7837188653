import { ENDED } from "../client/events.js";
import { inDigits, word } from "../elements/words.js";
/** @import { WaitingView } from "./view.js" */

const SHORT = 5; // seconds; nobody calls less "longer than usual"

/** Seconds to go: they come back up by no more than they have come down. */
export class Remaining {
	/** @type {number | null} */ seconds = null;
	#forward = 0;

	/** @param {number} estimate NaN and infinity are none */
	toward(estimate) {
		if (!Number.isFinite(estimate)) return this.seconds;
		const shown = this.seconds ?? estimate;
		const step = Math.min(Math.max(0, estimate) - shown, this.#forward);
		this.#forward -= step;
		return (this.seconds = Math.max(0, shown + step));
	}
}

/**
 * How long it takes: by the job's own rate, or else by what is usual (`data-usual`: seconds that half of the jobs, and
 * nine of ten, wait, and run). Counts by the server's clock (`data-now`).
 */
export class Pace {
	wait = NaN;
	run = NaN;
	runLong = NaN;
	#remaining = new Remaining();
	#of = "";

	/** @param {WaitingView} view */
	constructor(view) {
		const { now, usual = "" } = view.root.dataset;
		this.view = view;
		this.offset = Number(now) - view.since;
		[, this.wait, this.run, this.runLong] = usual.split(" ").map(parseFloat);
	}

	/** @param {AbortSignal} signal */
	start(signal) {
		if (signal.aborted) return;
		const timer = setInterval(() => this.show(), 1_000);
		signal.addEventListener("abort", () => clearInterval(timer));
		this.show();
	}

	show() {
		const { state, job } = this.view;
		if (!job) return;
		if (this.#of !== `${state}${job.attempt}`) this.#remaining = new Remaining();
		this.#of = `${state}${job.attempt}`;
		this.view.write("time", this.text(state));
		this.view.say("pace", this.isSlow(state) ? "slow" : "");
	}

	text(state = "") {
		if (ENDED.has(state)) return "";
		if (state === "running") return this.#left();
		if (state === "retrying") return this.#nextTry();
		return `${this.#say("starts", this.wait)} ${this.#say("takes", this.run)}`.trim();
	}

	isSlow(state = "") {
		const { created_at, started_at } = this.view.job ?? {};
		if (state === "pending") return this.since(created_at) > Math.max(this.wait, SHORT);
		return state === "running" && this.since(started_at) > Math.max(this.runLong, SHORT);
	}

	/** Seconds by the server's clock; NaN for no time. @param {string | number | null} [time] */
	since(time) {
		return (performance.now() + this.offset - new Date(time ?? NaN).getTime()) / 1_000;
	}

	#left() {
		const { eta_seconds, version = 0, started_at } = this.view.job ?? {};
		const byHabit = this.run - this.since(started_at);
		const byRate = eta_seconds == null ? (byHabit > 0 ? byHabit : NaN) : eta_seconds - this.since(version / 1_000);
		const left = this.#remaining.toward(byRate);
		if (left === null || (eta_seconds == null && this.isSlow("running"))) return "";
		return left < 1 ? word(this.view.root, "almost") : this.#say("left", left);
	}

	#nextTry() {
		const { retry_at, attempt = 0, max_attempts } = this.view.job ?? {};
		const text = this.#say("again", Math.max(0, -this.since(retry_at)), 1);
		const counted = word(this.view.root, "attempt").replace("{attempt}", `${attempt + 1}`);
		return max_attempts ? `${text} ${counted.replace("{most}", `${max_attempts}`)}`.trim() : text;
	}

	#say(name = "", seconds = NaN, step = 5) {
		return Number.isFinite(seconds) ? word(this.view.root, name).replace("{time}", inTime(seconds, step)) : "";
	}
}

/** "20 seconds", "3 minutes": rounded up. */
export function inTime(seconds = 0, step = 5) {
	if (seconds <= 55) return inUnits("second", Math.max(step, Math.ceil(seconds / step) * step));
	return seconds <= 5_400 ? inUnits("minute", Math.ceil(seconds / 60)) : inUnits("hour", Math.ceil(seconds / 3_600));
}

function inUnits(unit = "", amount = 0) {
	return inDigits(amount, { style: "unit", unit, unitDisplay: "long" });
}
