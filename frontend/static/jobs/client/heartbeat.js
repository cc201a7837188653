const EVERY = 20_000; // ms of silence; proxies cut an idle connection after 60 s
const WITHIN = 10_000; // ms

/** Notice a half-open connection, which a browser would keep for minutes. */
export class Heartbeat {
	#timer = 0;
	#asked = false;

	/** @param {() => void} ask @param {() => void} giveUp */
	constructor(ask, giveUp) {
		this.ask = ask;
		this.giveUp = giveUp;
	}

	/** Give up unless something is heard soon. */
	expect() {
		this.stop();
		this.#asked = true;
		this.#timer = setTimeout(this.giveUp, WITHIN);
	}

	heard() {
		this.stop();
		this.#timer = setTimeout(() => this.check(), EVERY);
	}

	/** Ask now, unless an answer is awaited already. */
	check() {
		if (this.#asked) return;
		this.expect();
		this.ask();
	}

	stop() {
		clearTimeout(this.#timer);
		this.#asked = false;
	}
}
