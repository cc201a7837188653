import { post } from "./claim.js";
import { isJobFrame } from "./events.js";
/** @import { Frame } from "./types.d.ts" */

/**
 * Post the cancel form; the answer is the job as it is now, or why there is none.
 * @param {HTMLFormElement} form @param {HTMLElement | null} button
 * @returns {Promise<{frame?: Frame, then: "wait" | "stale" | "unreachable"}>}
 */
export async function cancel(form, button) {
  const response = await post(form, button);
  if (response?.status === 403) return { then: "stale" };
  const frame = await response?.json().catch(() => null);
  return isJobFrame(frame) ? { frame, then: "wait" } : { then: "unreachable" };
}
