import { Backoff, pause } from "../client/backoff.js";
import { isAddress, isJobFrame } from "../client/events.js";
/** @import { Outcome } from "../types.d.ts" */

const BUSY_STATUSES = [429, 502, 503, 504];
export const REFUSED_STATUSES = [401, 403, 404];
const POST_TIMEOUT = 30_000; // ms; the server answers a slow claim with 503 after 25 s
const CLAIM_PATIENCE = 600_000; // ms; `on_ready` may take minutes, and a server's restart one

/**
 * Post the ready form until the server answers, and return what to do then. While the server is
 * busy (503 with `Retry-After`) or does not answer, retry for `CLAIM_PATIENCE`, and call `say`
 * with the reason: "busy" or "no_answer".
 * @param {HTMLFormElement} form @param {AbortSignal} signal aborts when the reader leaves the page
 * @param {(word: string) => void} say @returns {Promise<Outcome>}
 */
export async function claim(form, signal, say) {
	const backoff = new Backoff({ most: 10_000 });
	const end = performance.now() + CLAIM_PATIENCE;
	while (!signal.aborted) {
		const response = await post(form, signal);
		if (response && !BUSY_STATUSES.includes(response.status)) return outcome(response, form);
		if (performance.now() > end) return { then: "unreachable" };
		if (!signal.aborted) say(response?.status === 503 ? "busy" : "no_answer");
		await pause(retryAfter(response) * 1_000 + backoff.next(), signal);
	}
	return { then: "wait" };
}

/**
 * Post a form. Return the response, or null if there is none.
 * @param {HTMLFormElement} form @param {AbortSignal} aborted
 * @param {HTMLElement | null} button the one that the reader pressed
 */
export async function post(form, aborted, button = null) {
	const body = new FormData(form, button);
	const token = String(body.get("csrfmiddlewaretoken"));
	const headers = { Accept: "application/json", "X-CSRFToken": token };
	const signal = AbortSignal.any([aborted, AbortSignal.timeout(POST_TIMEOUT)]);
	/** @type {RequestInit} */
	const options = { method: "POST", headers, body, cache: "no-store", signal };
	return fetch(form.action, options).catch(() => null);
}

/** @param {Response} response @param {HTMLFormElement} form @returns {Promise<Outcome>} */
async function outcome(response, form) {
	const body = await response.json().catch(() => null);
	if (response.ok && body?.url && isAddress(body.url)) return { then: "go", url: body.url };
	if (isJobFrame(body) && response.status === 409) return { then: "wait", frame: body };
	if (REFUSED_STATUSES.includes(response.status)) return { then: await whyRefused(form) };
	return { then: body?.job ? "stuck" : "submit" };
}

/**
 * Find out why the server refused a form, by asking for the job itself. If the server refuses that
 * too, the reader has been signed out. Otherwise only the form was refused (CSRF).
 * @param {HTMLFormElement} form @returns {Promise<"signed_out" | "stale">}
 */
export async function whyRefused(form) {
	const url = new URL("..", form.action);
	const headers = { Accept: "application/json" };
	const response = await fetch(url, { headers, cache: "no-store" }).catch(() => null);
	return response && REFUSED_STATUSES.includes(response.status) ? "signed_out" : "stale";
}

/** Return the seconds that the server wants us to wait. @param {Response | null} response */
function retryAfter(response) {
	return Number(response?.headers.get("Retry-After")) || 0;
}
