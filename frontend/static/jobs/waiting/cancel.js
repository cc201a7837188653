import { isJobFrame } from "../client/events.js";
import { post, REFUSED_STATUSES, whyRefused } from "./claim.js";
/** @import { Frame } from "../types.d.ts" */
/** @import { WaitingView } from "./view.js" */

/**
 * Post the cancel form with the button that the reader pressed, and say so on the page. Return the
 * job as it is now, or why there is none. From then on staff can stop the task by force, in case
 * it does not react.
 * @param {WaitingView} view @param {AbortSignal} signal @param {HTMLElement | null} button
 * @returns {Promise<{frame?: Frame, then: "wait" | "stale" | "signed_out" | "unreachable"}>}
 */
export async function cancel(view, signal, button) {
	view.say("note", "cancelling");
	const form = view.part("cancel");
	const response = await post(form, signal, button);
	const isRefused = response && REFUSED_STATUSES.includes(response.status);
	if (isRefused) return { then: await whyRefused(form) };
	const frame = await response?.json().catch(() => null);
	if (isJobFrame(frame)) {
		view.toggle("terminate", true);
		return { frame, then: "wait" };
	}
	view.say("note", "unreachable");
	return { then: "unreachable" };
}
