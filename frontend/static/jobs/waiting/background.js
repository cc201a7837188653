import { ENDED, isAddress } from "../client/events.js";
import { word } from "../elements/words.js";
/** @import { Job } from "../types.d.ts" */
/** @import { WaitingView } from "./view.js" */

/** What reaches a person who does not look at the page: the tab's icon, and a notification if they asked for it. */

const WISHES = "jobs.tell"; // ids of the jobs that somebody wants to be told of; every page of this origin reads them
const PARTS_OF_ICONS = 4; // the icons of `data-icons`: 0, 25, 50 and 75 per cent, ready, stopped

/** Show in a hidden tab how far the job is, until the page is left. @param {WaitingView} view @param {AbortSignal} signal */
export function follow({ root, state, job }, signal) {
	signal.addEventListener("abort", showUsualIcon);
	if (document.hidden) showIcon(iconOf(root, state, job?.progress?.percent ?? 0));
	else showUsualIcon();
	if (job && ENDED.has(state)) tell(job, word(root, state));
}

/** Say where the job will be found, and remember that somebody wants to be told. @param {WaitingView} view @param {Promise<string>} [asked] */
export async function leave(view, asked) {
	view.toggle("list", true);
	view.say("note", "gone_on");
	view.toggle("leave", false);
	view.part("list").focus();
	const answer = await asked?.catch(() => "denied"); // no page without encryption may ask
	if (answer !== "granted") return;
	write([...wishes(), view.root.dataset.job ?? ""].slice(-50));
	view.root.dataset.told = "";
	if (!ENDED.has(view.state)) view.say("note", "told");
}

/** Tell of an end, once, if that was wanted; whoever looks at the page sees it there. @param {Job} job @param {string} text */
export function tell({ id, header = "", url = "" }, text) {
	if (!wishes().includes(id)) return;
	write(wishes().filter((other) => other !== id));
	if (!document.hidden && document.querySelector(`.jobs-waiting[data-job="${CSS.escape(id)}"]`)) return;
	try {
		const notice = new Notification(header, { body: text, tag: id });
		notice.onclick = () => {
			window.focus();
			if (isAddress(url)) location.assign(url);
		};
	} catch {
		// a browser whose notifications need a service worker (Chrome on Android): bell and title tell all the same
	}
}

function showUsualIcon() {
	showIcon();
}

/** Show an icon, or the page's own one again. @param {string} [href] */
function showIcon(href) {
	const icon = /** @type {HTMLLinkElement | null} */ (document.querySelector("link[rel~=icon]"));
	if (!icon) return;
	const usual = (icon.dataset.usual ??= icon.href);
	icon.href = href ?? usual;
}

/** @param {HTMLElement} root @param {string} state @param {number} percent */
function iconOf({ dataset }, state, percent) {
	const icons = (dataset.icons ?? "").split(" ");
	if (!ENDED.has(state)) return icons[Math.min(Math.floor(percent / 25), PARTS_OF_ICONS - 1)];
	return icons[state === "complete" ? PARTS_OF_ICONS : PARTS_OF_ICONS + 1];
}

/** @returns {string[]} */
function wishes() {
	try {
		return JSON.parse(localStorage.getItem(WISHES) ?? "[]");
	} catch {
		return []; // no storage for us, or nothing of ours in it
	}
}

/** @param {string[]} ids */
function write(ids) {
	try {
		localStorage.setItem(WISHES, JSON.stringify(ids));
	} catch {
		// then only this page tells
	}
}
