/** @import { Frame } from "../types.d.ts" */

/** The states that do not change any more. */
export const ENDED = new Set(["complete", "failed", "cancelled", "expired", "lost"]);

const EVENTS = /^(created|started|progress|retrying|ready|failed|cancelled|expired|lost)$/;

/**
 * Tell a frame from whatever else a newer server may say. It is shown as text, never merged into an object.
 * @param {any} value @returns {value is Frame}
 */
export function isJobFrame(value) {
	const job = value?.job;
	return EVENTS.test(value?.event) && typeof job?.id === "string" && Number.isFinite(job.version);
}

/** Tell the address of a page from that of a script, or from none. @param {any} url @returns {url is string} */
export function isAddress(url) {
	return URL.canParse(url, location.href) && /^https?:$/.test(new URL(url, location.href).protocol);
}

/** @param {EventTarget} target @param {string} type @param {unknown} [detail] */
export function emit(target, type, detail) {
	target.dispatchEvent(new CustomEvent(type, { detail }));
}

/** Hear an event's detail. @param {EventTarget} target @param {string} type @param {(detail: any) => void} hear */
export function on(target, type, hear) {
	target.addEventListener(type, (event) => hear(/** @type {CustomEvent} */ (event).detail));
}
