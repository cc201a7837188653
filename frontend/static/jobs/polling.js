import { Backoff } from "./backoff.js";
import { emit, isJobFrame } from "./events.js";
/** @import { Fetch } from "./types.d.ts" */

const TIMEOUT = 10_000; // ms for one answer

/**
 * Ask for the JSON of one job again and again, where no socket can be had. The server's `Retry-After` is the
 * shortest pause; a long job and a failing server are asked less often.
 *
 * Events: `frame`; `down` (no answer); `gone` (404; it has stopped by itself).
 */
export class Polling extends EventTarget {
  /** @type {AbortController | null} */ #running = null;

  /** @param {string} url @param {Fetch} [fetch] @param {string} [ticket] */
  constructor(url, fetch = window.fetch.bind(window), ticket = "") {
    super();
    this.url = url;
    this.headers = { Accept: "application/json", ...(ticket && { "X-Job-Ticket": ticket }) };
    this.fetch = fetch;
  }

  start() {
    if (this.#running) return;
    this.#running = new AbortController();
    this.#run(this.#running.signal);
  }

  stop() {
    this.#running?.abort();
    this.#running = null;
  }

  /** @param {AbortSignal} signal */
  async #run(signal) {
    const backoff = new Backoff({ first: 1_000, most: 10_000, factor: 1.3 });
    while (!signal.aborted) {
      const retryAfter = await this.#ask(signal);
      await pause(Math.max(backoff.next(), retryAfter * 1_000), signal);
    }
  }

  /** Return the seconds that the server wants us to wait. @param {AbortSignal} signal */
  async #ask(signal) {
    const either = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)]);
    try {
      const response = await this.fetch(this.url, { headers: this.headers, cache: "no-store", signal: either });
      const frame = response.status === 404 ? null : await response.json();
      if (!signal.aborted) this.#tell(frame);
      return Number(response.headers.get("Retry-After"));
    } catch {
      if (!signal.aborted) emit(this, "down");
      return 0;
    }
  }

  /** @param {unknown} frame */
  #tell(frame) {
    if (isJobFrame(frame)) return emit(this, "frame", frame);
    if (frame !== null) return emit(this, "down");
    this.stop();
    emit(this, "gone");
  }
}

/** @param {number} delay @param {AbortSignal} signal */
function pause(delay, signal) {
  return new Promise((resolve) => {
    setTimeout(resolve, delay);
    signal.addEventListener("abort", resolve, { once: true });
  });
}
