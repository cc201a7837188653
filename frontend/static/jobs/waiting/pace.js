import { ENDED } from "../client/events.js";
import { inDigits, word } from "../elements/words.js";
/** @import { WaitingView } from "./view.js" */

const NEVER_SLOW = 5; // seconds; nobody calls less "longer than usual"

/** The seconds left. They may go up again, but by no more than they have gone down. */
export class Remaining {
	/** @type {number | null} */ seconds = null;
	#mayRise = 0;

	/** @param {number} estimate NaN and infinity count as none */
	toward(estimate) {
		if (!Number.isFinite(estimate)) return this.seconds;
		const shown = this.seconds ?? estimate;
		const step = Math.min(Math.max(0, estimate) - shown, this.#mayRise);
		this.#mayRise -= step;
		return (this.seconds = Math.max(0, shown + step));
	}
}

/**
 * Shows how long the job takes: by its own rate, or else by what is usual. `data-usual` holds
 * the seconds that half of the jobs, and nine of ten, wait; then the same for how long they run.
 * It counts by the server's clock (`data-now`).
 */
export class Pace {
	wait = NaN;
	run = NaN;
	runLong = NaN;
	#remaining = new Remaining();
	#attempt = "";

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
		const attempt = `${state}${job.attempt}`;
		if (this.#attempt !== attempt) this.#remaining = new Remaining();
		this.#attempt = attempt;
		this.view.write("time", this.text(state));
		this.view.say("pace", this.isSlow(state) ? "slow" : "");
	}

	text(state = "") {
		if (ENDED.has(state)) return "";
		if (state === "running") return this.#timeLeft();
		if (state === "retrying") return this.#nextAttempt();
		return `${this.#say("starts", this.wait)} ${this.#say("takes", this.run)}`.trim();
	}

	isSlow(state = "") {
		const { created_at, started_at } = this.view.job ?? {};
		if (state === "pending") return this.since(created_at) > Math.max(this.wait, NEVER_SLOW);
		return state === "running" && this.since(started_at) > Math.max(this.runLong, NEVER_SLOW);
	}

	/**
	 * Return the seconds since a time by the server's clock; NaN for no time.
	 * @param {string | number | null} [time]
	 */
	since(time) {
		return (performance.now() + this.offset - new Date(time ?? NaN).getTime()) / 1_000;
	}

	#timeLeft() {
		const hasRate = this.view.job?.eta_seconds != null;
		const left = this.#remaining.toward(hasRate ? this.#byRate() : this.#byHabit());
		if (left === null || (!hasRate && this.isSlow("running"))) return "";
		return left < 1 ? word(this.view.root, "almost") : this.#say("left", left);
	}

	#byRate() {
		const { eta_seconds, version = 0 } = this.view.job ?? {};
		return Number(eta_seconds) - this.since(version / 1_000);
	}

	/** Return the seconds left of the usual run, or NaN when they are over. */
	#byHabit() {
		const left = this.run - this.since(this.view.job?.started_at);
		return left > 0 ? left : NaN;
	}

	#nextAttempt() {
		const { retry_at, attempt = 0, max_attempts } = this.view.job ?? {};
		const text = this.#say("again", Math.max(0, -this.since(retry_at)), 1);
		if (!max_attempts) return text;
		const counted = word(this.view.root, "attempt").replace("{attempt}", `${attempt + 1}`);
		return `${text} ${counted.replace("{most}", `${max_attempts}`)}`.trim();
	}

	#say(name = "", seconds = NaN, step = 5) {
		if (!Number.isFinite(seconds)) return "";
		return word(this.view.root, name).replace("{time}", inTime(seconds, step));
	}
}

/** Return a duration such as "20 seconds" or "3 minutes", rounded up. */
export function inTime(seconds = 0, step = 5) {
	if (seconds <= 55) return inUnits("second", Math.max(step, Math.ceil(seconds / step) * step));
	if (seconds <= 5_400) return inUnits("minute", Math.ceil(seconds / 60));
	return inUnits("hour", Math.ceil(seconds / 3_600));
}

function inUnits(unit = "", amount = 0) {
	return inDigits(amount, { style: "unit", unit, unitDisplay: "long" });
}
