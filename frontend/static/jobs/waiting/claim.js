import { Backoff, pause } from "../client/backoff.js";
import { isAddress, isJobFrame } from "../client/events.js";
/** @import { Outcome } from "../types.d.ts" */

const BUSY = [429, 502, 503, 504];
export const REFUSED = [401, 403, 404];
const TIMEOUT = 30_000; // ms; a claim that takes longer is answered by 503 after 25 s
const PATIENCE = 600_000; // ms; an `on_ready` may take minutes, and a restart of the server one

/**
 * Post the ready form until the server has an answer, and return what to do then. While the server is busy (503 with
 * `Retry-After`) or does not answer, retry for `PATIENCE`, and name the reason to `say`: "busy" or "no_answer".
 * @param {HTMLFormElement} form @param {AbortSignal} signal aborts when the page is left
 * @param {(word: string) => void} say @returns {Promise<Outcome>}
 */
export async function claim(form, signal, say) {
	const backoff = new Backoff({ most: 10_000 });
	const end = performance.now() + PATIENCE;
	while (!signal.aborted) {
		const response = await post(form, signal);
		if (response && !BUSY.includes(response.status)) return outcome(response, form);
		if (performance.now() > end) return { then: "unreachable" };
		if (!signal.aborted) say(response?.status === 503 ? "busy" : "no_answer");
		await pause(secondsToWait(response) * 1_000 + backoff.next(), signal);
	}
	return { then: "wait" };
}

/**
 * Return the answer, or null if there is none.
 * @param {HTMLFormElement} form @param {AbortSignal} signal @param {HTMLElement | null} button the one that was pressed
 */
export async function post(form, signal, button = null) {
	const body = new FormData(form, button);
	const headers = { Accept: "application/json", "X-CSRFToken": String(body.get("csrfmiddlewaretoken")) };
	const either = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)]);
	return fetch(form.action, { method: "POST", headers, body, cache: "no-store", signal: either }).catch(() => null);
}

/** @param {Response} response @param {HTMLFormElement} form @returns {Promise<Outcome>} */
async function outcome(response, form) {
	const body = await response.json().catch(() => null);
	if (response.ok && body?.url && isAddress(body.url)) return { then: "go", url: body.url };
	if (isJobFrame(body) && response.status === 409) return { then: "wait", frame: body };
	if (REFUSED.includes(response.status)) return { then: await whyRefused(form) };
	return { then: body?.job ? "stuck" : "submit" };
}

/**
 * Ask for the job itself: who may not see it either has been signed out; else only the form is refused (CSRF).
 * @param {HTMLFormElement} form @returns {Promise<"signed_out" | "stale">}
 */
export async function whyRefused(form) {
	const page = new URL("..", form.action);
	const response = await fetch(page, { headers: { Accept: "application/json" }, cache: "no-store" }).catch(() => null);
	return response && REFUSED.includes(response.status) ? "signed_out" : "stale";
}

/** @param {Response | null} response */
function secondsToWait(response) {
	return Number(response?.headers.get("Retry-After")) || 0;
}
