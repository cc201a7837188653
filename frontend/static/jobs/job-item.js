import { ENDED, isAddress } from "./client/events.js";
import { inPercent, language, word } from "./elements/words.js";
/** @import { Job } from "./types.d.ts" */

/** The parts of an item, as `job_list.html` writes them: class and element. */
const PARTS = { header: "a", word: "span", percent: "span", bar: "progress", detail: "bdi", time: "time" };

/** Make an empty item for a job. @param {Job} job @param {"a" | "bdi"} header */
export function makeItem(job, header) {
	const item = document.createElement("li");
	item.dataset.job = job.id;
	for (const [name, tag] of Object.entries({ ...PARTS, header })) {
		const part = document.createElement(tag);
		part.className = `jobs-${name}`;
		part.dir = "auto"; // also keeps an override character in its own place
		item.append(part, " ");
	}
	return item;
}

/** Show the job in its item, as text. @param {HTMLElement} item @param {Job} job @param {Element} words where the page's words are */
export function renderItem(item, job, words) {
	item.dataset.state = job.state;
	item.dataset.version = String(job.version);
	const percent = ENDED.has(job.state) ? null : (job.progress?.percent ?? null);
	write(item, "header", job.header ?? job.id);
	write(item, "word", word(words, job.state));
	write(item, "percent", inPercent(percent));
	write(item, "detail", job.error || (ENDED.has(job.state) ? "" : job.progress?.message) || "");
	showLink(item, job);
	showBar(item, job, percent);
	showTime(item, job.created_at ?? "");
}

/** Show the time in the reader's own time and language. @param {HTMLElement} item @param {string} iso */
export function showTime(item, iso = part(item, "time")?.getAttribute("datetime") ?? "") {
	part(item, "time")?.setAttribute("datetime", iso);
	write(item, "time", inTime(iso));
}

/** When the job of this item was created: ISO 8601, which sorts as text. @param {Element} item */
export function createdAt(item) {
	return part(item, "time")?.getAttribute("datetime") ?? "";
}

/** A link leads to a page, never to a script. @param {HTMLElement} item @param {Job} job */
function showLink(item, { url }) {
	if (url && isAddress(url)) item.querySelector("a.jobs-header")?.setAttribute("href", url);
}

/** @param {HTMLElement} item @param {Job} job @param {number | null} percent */
function showBar(item, { header }, percent) {
	const bar = part(item, "bar");
	bar?.setAttribute("aria-label", header ?? "");
	bar?.setAttribute("max", "100");
	if (percent === null) bar?.removeAttribute("value");
	else bar?.setAttribute("value", String(percent));
}

/** @param {Element} item @param {string} name */
function part(item, name) {
	return item.querySelector(`.jobs-${name}`);
}

/** @param {HTMLElement} item @param {string} name @param {string} text */
function write(item, name, text) {
	const element = part(item, name);
	if (element && element.textContent !== text) element.textContent = text;
}

/** The time of a moment of today, else its day. @param {string} iso */
function inTime(iso) {
	const date = new Date(iso);
	if (Number.isNaN(date.getTime())) return "";
	const isToday = date.toDateString() === new Date().toDateString();
	return new Intl.DateTimeFormat(language(), isToday ? { timeStyle: "short" } : { dateStyle: "medium" }).format(date);
}
