/** @import { Progress } from "../types.d.ts" */

/** The page's language now: a page that is swapped in may have another. None if it is no valid tag, such as "en_US". */
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

/** A text that the server has translated. @param {Element} element @param {string} name */
export function word(element, name) {
	return element.getAttribute(`data-word-${name}`)?.trim() ?? "";
}

/** @param {number | null} percent */
export function inPercent(percent) {
	return percent === null ? "" : inDigits(percent / 100, { style: "percent" });
}

/** "126 of 300", "126", or nothing. @param {Element} element @param {Progress} progress */
export function inNumbers(element, { current, total }) {
	if (!current && !total) return "";
	const counted = inDigits(current ?? 0);
	return total ? word(element, "count").replace("{current}", counted).replace("{total}", inDigits(total)) : counted;
}
