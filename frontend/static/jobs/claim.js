import { Backoff } from "./backoff.js";
import { isJobFrame } from "./events.js";
/** @import { Outcome } from "./types.d.ts" */

const BUSY = [502, 503, 504];
const TIMEOUT = 30_000; // ms
const PAUSES = 7; // about a minute, which a restart of the server takes

/** Tell what is to be done then. @param {HTMLFormElement} form @returns {Promise<Outcome>} */
export async function claim(form) {
	const backoff = new Backoff();
	for (;;) {
		const response = await post(form);
		if (response && !BUSY.includes(response.status)) return outcome(response);
		if (backoff.tries === PAUSES) return { then: "unreachable" };
		await new Promise((resolve) => setTimeout(resolve, backoff.next()));
	}
}

/** The answer, or null when there is none. @param {HTMLFormElement} form @param {HTMLElement | null} button */
export async function post(form, button = null) {
	const body = new FormData(form, button);
	const headers = { Accept: "application/json", "X-CSRFToken": String(body.get("csrfmiddlewaretoken")) };
	const signal = AbortSignal.timeout(TIMEOUT);
	return fetch(form.action, { method: "POST", headers, body, cache: "no-store", signal }).catch(() => null);
}

/** @param {Response} response @returns {Promise<Outcome>} */
async function outcome(response) {
	if (response.status === 403) return { then: "stale" };
	const body = await response.json().catch(() => null);
	if (response.ok && typeof body?.url === "string") return { then: "go", url: body.url };
	if (isJobFrame(body) && response.status === 409) return { then: "wait", frame: body };
	return { then: body?.job ? "stuck" : "submit" };
}
