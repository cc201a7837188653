const STEP = 25; // per cent
const QUIET = 5_000; // ms between two announcements

/** Say progress in quarters only, and seldom, though the numbers run (WCAG 4.1.3). */
export class Speech {
	#said = 0;
	#saidAt = -QUIET;

	/** @param {(text: string) => void} say */
	constructor(say) {
		this.say = say;
	}

	progress(percent = 0, text = "") {
		const step = percent - (percent % STEP);
		if (step <= this.#said || performance.now() - this.#saidAt < QUIET) return;
		this.#said = step;
		this.#saidAt = performance.now();
		this.say(text);
	}

	/** The state has words of its own. */
	hush() {
		this.#saidAt = performance.now();
		this.say("");
	}
}
