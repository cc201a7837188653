/** Growing, jittered delays (ms): the pages that lost one server must not come back all at once. */
export class Backoff {
	tries = 0;

	constructor({ first = 500, most = 30_000, factor = 2 } = {}) {
		this.step = () => Math.min(most, first * factor ** this.tries++);
	}

	/** Between half a step and a whole one. */
	next() {
		return this.step() * (0.5 + Math.random() / 2);
	}
}
