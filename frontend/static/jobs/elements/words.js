/** @import { Progress } from "../types.d.ts" */

/**
 * Return the language that the page has now, because a swapped-in page may have another one.
 * Return undefined for an invalid tag, such as "en_US".
 */
export function language() {
	try {
		return Intl.getCanonicalLocales(document.documentElement.lang)[0];
	} catch {
		return undefined;
	}
}

/** @param {number} value @param {Intl.NumberFormatOptions} [options] */
export function inDigits(value, options) {
	return new Intl.NumberFormat(language(), options).format(value);
}

/**
 * Return a text that the server has translated (`words.html`).
 * @param {Element} element @param {string} name
 */
export function word(element, name) {
	return element.getAttribute(`data-word-${name}`)?.trim() ?? "";
}

/** @param {number | null} percent */
export function inPercent(percent) {
	return percent === null ? "" : inDigits(percent / 100, { style: "percent" });
}

/** Return "126 of 300", "126" or "". @param {Element} element @param {Progress} progress */
export function inNumbers(element, { current, total }) {
	if (!current && !total) return "";
	const counted = inDigits(current ?? 0);
	if (!total) return counted;
	const text = word(element, "count").replace("{current}", counted);
	return text.replace("{total}", inDigits(total));
}

/**
 * Write a text only if it is new, so that screen readers stay quiet.
 * @param {Element | null} element @param {string} text
 */
export function setText(element, text) {
	if (element && element.textContent !== text) element.textContent = text;
}
