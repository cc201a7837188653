import { ENDED, isAddress } from "./client/events.js";
import { inPercent, language, setText, word } from "./elements/words.js";
/** @import { Job } from "./types.d.ts" */

/** The parts of an item, as `job_list.html` writes them: class and element. */
const PARTS = {
	header: "a",
	word: "span",
	percent: "span",
	bar: "progress",
	detail: "bdi",
	time: "time",
};

/** Make an empty item for a job. @param {Job} job @param {"a" | "bdi"} header */
export function makeItem(job, header) {
	const item = document.createElement("li");
	item.dataset.job = job.id;
	for (const [name, tag] of Object.entries({ ...PARTS, header })) {
		const part = document.createElement(tag);
		part.className = `jobs-${name}`;
		part.dir = "auto"; // also keeps a bidi override inside its part
		item.append(part, " ");
	}
	return item;
}

/**
 * Show the job in its item.
 * @param {HTMLElement} item @param {Job} job
 * @param {Element} words has the `data-word-…` attributes
 */
export function renderItem(item, job, words) {
	const hasEnded = ENDED.has(job.state);
	const percent = hasEnded ? null : (job.progress?.percent ?? null);
	const message = hasEnded ? "" : job.progress?.message;
	item.dataset.state = job.state;
	item.dataset.version = String(job.version);
	setText(part(item, "header"), job.header ?? job.id);
	setText(part(item, "word"), word(words, job.state));
	setText(part(item, "percent"), inPercent(percent));
	setText(part(item, "detail"), job.error || message || "");
	showLink(item, job);
	showBar(item, job, percent);
	showTime(item, job.created_at ?? "");
}

/**
 * Show the time in the reader's own time zone and language.
 * @param {HTMLElement} item @param {string} iso
 */
export function showTime(item, iso = createdAt(item)) {
	const time = part(item, "time");
	time?.setAttribute("datetime", iso);
	setText(time, inTime(iso));
}

/**
 * Return when the job of this item was created: ISO 8601, which sorts as text.
 * @param {Element} item
 */
export function createdAt(item) {
	return part(item, "time")?.getAttribute("datetime") ?? "";
}

/** @param {HTMLElement} item @param {Job} job */
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

/** Return the time of day for a moment today, else the date. @param {string} iso */
function inTime(iso) {
	const date = new Date(iso);
	if (Number.isNaN(date.getTime())) return "";
	const isToday = date.toDateString() === new Date().toDateString();
	/** @type {Intl.DateTimeFormatOptions} */
	const style = isToday ? { timeStyle: "short" } : { dateStyle: "medium" };
	return new Intl.DateTimeFormat(language(), style).format(date);
}
