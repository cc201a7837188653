/** @import { Frame } from "../types.d.ts" */

/** The states that never change again, but for `lost` (`jobs/states.py`). */
export const ENDED = new Set(["complete", "failed", "cancelled", "expired", "lost"]);

/** The event of a polled job by its state, where the two names differ (`jobs/core/events.py`). */
export const EVENT_OF = new Map([
	["pending", "created"],
	["running", "progress"],
	["complete", "ready"],
]);

const EVENTS = /^(created|started|progress|retrying|ready|failed|cancelled|expired|lost)$/;

/**
 * Check whether a value is a job's frame. A newer server may also send frames that we do not know.
 * @param {any} value @returns {value is Frame}
 */
export function isJobFrame(value) {
	if (!EVENTS.test(value?.event)) return false;
	return typeof value.job?.id === "string" && Number.isFinite(value.job.version);
}

/**
 * Check whether a link leads to a page, never to a script.
 * @param {any} url @returns {url is string}
 */
export function isAddress(url) {
	if (!URL.canParse(url, location.href)) return false;
	return /^https?:$/.test(new URL(url, location.href).protocol);
}

/** @param {EventTarget} target @param {string} type @param {unknown} [detail] */
export function emit(target, type, detail) {
	target.dispatchEvent(new CustomEvent(type, { detail }));
}

/**
 * Listen to an event's detail.
 * @param {EventTarget} target @param {string} type @param {(detail: any) => void} listener
 */
export function on(target, type, listener) {
	target.addEventListener(type, (event) => listener(/** @type {CustomEvent} */ (event).detail));
}
