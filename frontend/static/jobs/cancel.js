import { post } from "./claim.js";
import { isJobFrame } from "./events.js";
/** @import { Frame } from "./types.d.ts" */
/** @import { WaitingView } from "./waiting-view.js" */

/**
 * Post the cancel form, with the button that was pressed, and say so; returns the job as it is now, or why there is
 * none. Staff are offered to stop by force from then on, should asking be of no use.
 * @param {WaitingView} view @param {HTMLElement | null} button
 * @returns {Promise<{frame?: Frame, then: "wait" | "stale" | "unreachable"}>}
 */
export async function cancel(view, button) {
	view.say("note", "cancelling");
	const response = await post(view.part("cancel"), button);
	if (response?.status === 403) return { then: "stale" };
	const frame = await response?.json().catch(() => null);
	if (isJobFrame(frame)) {
		view.toggle("terminate", true);
		return { frame, then: "wait" };
	}
	view.say("note", "unreachable");
	return { then: "unreachable" };
}
