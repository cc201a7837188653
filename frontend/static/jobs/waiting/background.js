import { ENDED, isAddress } from "../client/events.js";
import { word } from "../elements/words.js";
/** @import { Job } from "../types.d.ts" */
/** @import { WaitingView } from "./view.js" */

/**
 * What reaches a reader who does not look at the page: the tab's icon, and a notification if the
 * reader asked for one.
 */

const STORAGE_KEY = "jobs.tell"; // ids of the jobs to notify of, for all pages of this origin
const MAX_IDS = 50;
const QUARTERS = 4; // icons in `data-icons`: 0, 25, 50 and 75 per cent, then ready, then stopped

/**
 * Show the job's progress in the icon of a hidden tab.
 * @param {WaitingView} view @param {AbortSignal} signal
 */
export function follow({ root, state, job }, signal) {
	signal.addEventListener("abort", showOwnIcon);
	if (document.hidden) showIcon(iconOf(root, state, job?.progress?.percent ?? 0));
	else showOwnIcon();
	if (job && ENDED.has(state)) notify(job, word(root, state));
}

/**
 * Say where the job will be found. If the reader permits notifications, remember the job for one.
 * @param {WaitingView} view @param {Promise<string>} [permission]
 */
export async function leave(view, permission) {
	view.toggle("list", true);
	view.say("note", "gone_on");
	view.toggle("leave", false);
	view.part("list").focus();
	const answer = await permission?.catch(() => "denied"); // browsers refuse it without HTTPS
	if (answer !== "granted") return;
	store([...storedIds(), view.root.dataset.job ?? ""].slice(-MAX_IDS));
	view.root.dataset.told = "";
	if (!ENDED.has(view.state)) view.say("note", "told");
}

/**
 * Notify the reader of a job's end, once, if they asked for it. A reader who is looking at the
 * job's page sees the end there.
 * @param {Job} job @param {string} text
 */
export function notify({ id, header = "", url = "" }, text) {
	if (!storedIds().includes(id)) return;
	store(storedIds().filter((other) => other !== id));
	const page = document.querySelector(`.jobs-waiting[data-job="${CSS.escape(id)}"]`);
	if (page && !document.hidden) return;
	try {
		const notification = new Notification(header, { body: text, tag: id });
		notification.onclick = () => {
			window.focus();
			if (isAddress(url)) location.assign(url);
		};
	} catch {
		// Chrome on Android needs a service worker for this; the bell and the title remain
	}
}

function showOwnIcon() {
	showIcon();
}

/** Show an icon, or the page's own one. @param {string} [href] */
function showIcon(href) {
	const icon = /** @type {HTMLLinkElement | null} */ (document.querySelector("link[rel~=icon]"));
	if (!icon) return;
	const own = (icon.dataset.usual ??= icon.href);
	icon.href = href ?? own;
}

/** @param {HTMLElement} root @param {string} state @param {number} percent */
function iconOf({ dataset }, state, percent) {
	const icons = (dataset.icons ?? "").split(" ");
	if (!ENDED.has(state)) return icons[Math.min(Math.floor(percent / 25), QUARTERS - 1)];
	return icons[state === "complete" ? QUARTERS : QUARTERS + 1];
}

/** @returns {string[]} */
function storedIds() {
	try {
		return JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "[]");
	} catch {
		return []; // no storage for us, or something else in it
	}
}

/** @param {string[]} ids */
function store(ids) {
	try {
		localStorage.setItem(STORAGE_KEY, JSON.stringify(ids));
	} catch {
		// then nothing but this page can notify
	}
}
