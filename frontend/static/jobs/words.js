/** @import { Progress } from "./types.d.ts" */
export const language = document.documentElement.lang || undefined;
const number = new Intl.NumberFormat(language);
const percentage = new Intl.NumberFormat(language, { style: "percent" });

/** A text that the server has translated. @param {Element} element @param {string} name */
export function word(element, name) {
	return element.getAttribute(`data-word-${name}`)?.trim() ?? "";
}

/** @param {number | null} percent */
export function inPercent(percent) {
	return percent === null ? "" : percentage.format(percent / 100);
}

/** "126 of 300", "126", or nothing. @param {Element} element @param {Progress} progress */
export function inNumbers(element, { current, total }) {
	if (!current && !total) return "";
	const counted = number.format(current ?? 0);
	return total ? word(element, "count").replace("{current}", counted).replace("{total}", number.format(total)) : counted;
}
