const STEP = 25; // per cent
const MIN_PAUSE = 5_000; // ms between two announcements

/** Announces progress in quarters and rarely, although the numbers run (WCAG 4.1.3). */
export class Speech {
	#said = 0;
	#saidAt = -MIN_PAUSE;

	/** @param {(text: string) => void} say */
	constructor(say) {
		this.say = say;
	}

	progress(percent = 0, text = "") {
		const step = percent - (percent % STEP);
		if (step <= this.#said || performance.now() - this.#saidAt < MIN_PAUSE) return;
		this.#said = step;
		this.#saidAt = performance.now();
		this.say(text);
	}

	/** Stay silent for a while, because the new state is announced by its own words. */
	hush() {
		this.#saidAt = performance.now();
		this.say("");
	}
}
