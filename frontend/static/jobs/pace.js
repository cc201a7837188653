import { ENDED } from "./events.js";
import { word } from "./words.js";
/** @import { WaitingView } from "./waiting-view.js" */

const SHORT = 5; // seconds; nobody calls less "longer than usual"

/** Seconds to go, as they are shown: they come back up by no more than they have come down. */
export class Remaining {
  /** @type {number | null} */ seconds = null;
  #forward = 0;

  /** @param {number} estimate of which NaN and infinity are none */
  toward(estimate) {
    if (!Number.isFinite(estimate)) return this.seconds;
    const change = Math.max(0, estimate) - (this.seconds ?? estimate);
    const step = Math.min(change, this.#forward);
    this.#forward -= step;
    this.seconds = Math.max(0, (this.seconds ?? estimate) + step);
    return this.seconds;
  }
}

/**
 * How long it takes: by the job's own rate, or else by what the archive knows of its kind (`data-usual`: seconds that
 * half of the jobs, and nine of ten, wait, and run). Counts by the server's clock (`data-now`).
 */
export class Pace {
  #remaining = new Remaining();
  #of = "";
  /** Seconds, NaN where too little is known; waits and long runs are those of nine of ten. */
  usual = { wait: NaN, run: NaN, runLong: NaN };

  /** @param {WaitingView} view */
  constructor(view) {
    this.view = view;
    const { now, usual = "" } = view.root.dataset;
    this.offset = Number(now) - view.since;
    const [, wait, run, runLong] = usual.split(" ").map(parseFloat);
    Object.assign(this.usual, { wait, run, runLong });
  }

  /** @param {AbortSignal} signal */
  start(signal) {
    const timer = setInterval(() => this.show(), 1_000);
    signal.addEventListener("abort", () => clearInterval(timer));
    this.show();
  }

  show() {
    const { state, job } = this.view;
    if (this.#of !== `${state}${job?.attempt}`) this.#remaining = new Remaining();
    this.#of = `${state}${job?.attempt}`;
    this.view.write("time", job ? this.text(state) : "");
    this.view.say("pace", job && this.isSlow(state) ? "slow" : "");
  }

  /** @param {string} state */
  text(state) {
    if (ENDED.has(state)) return "";
    if (state === "running") return this.#left();
    if (state === "retrying") return this.#nextTry();
    return [this.#say("starts", this.usual.wait), this.#say("takes", this.usual.run)].filter(Boolean).join(" ");
  }

  /** @param {string} state */
  isSlow(state) {
    const { created_at, started_at } = this.view.job ?? {};
    if (state === "pending") return this.since(created_at) > Math.max(this.usual.wait, SHORT);
    return state === "running" && this.since(started_at) > Math.max(this.usual.runLong, SHORT);
  }

  /** Seconds by the server's clock; NaN for no time. @param {string | null} [time] */
  since(time) {
    return (performance.now() + this.offset - Date.parse(time ?? "")) / 1_000;
  }

  #left() {
    const { eta_seconds, version = 0, started_at } = this.view.job ?? {};
    const byRate = (eta_seconds ?? NaN) - this.since(new Date(version / 1_000).toISOString());
    const byHabit = this.usual.run - this.since(started_at);
    const left = this.#remaining.toward(eta_seconds == null ? (byHabit > 0 ? byHabit : NaN) : byRate);
    if (left === null || this.isSlow("running") && eta_seconds == null) return "";
    return left < 1 ? word(this.view.root, "almost") : this.#say("left", left);
  }

  #nextTry() {
    const { retry_at, attempt = 0, max_attempts } = this.view.job ?? {};
    const text = this.#say("again", Math.max(0, -this.since(retry_at)), 1);
    const counted = word(this.view.root, "attempt").replace("{attempt}", String(attempt + 1)).replace("{most}", String(max_attempts));
    return max_attempts ? `${text} ${counted}`.trim() : text;
  }

  /** @param {string} name @param {number} seconds @param {number} [step] */
  #say(name, seconds, step) {
    return Number.isFinite(seconds) ? word(this.view.root, name).replace("{time}", inTime(seconds, step)) : "";
  }
}

/** "20 seconds", "3 minutes": rounded up, in the reader's language. @param {number} seconds @param {number} [step] */
export function inTime(seconds, step = 5) {
  if (seconds <= 55) return inUnits("second", Math.max(step, Math.ceil(seconds / step) * step));
  return seconds <= 5_400 ? inUnits("minute", Math.ceil(seconds / 60)) : inUnits("hour", Math.ceil(seconds / 3_600));
}

/** @param {string} unit @param {number} amount */
function inUnits(unit, amount) {
  const language = document.documentElement.lang || undefined;
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "long" }).format(amount);
}
