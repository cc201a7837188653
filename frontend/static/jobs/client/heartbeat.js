const PING_AFTER = 20_000; // ms of silence; proxies cut an idle connection after 60 s
const PONG_TIMEOUT = 10_000; // ms

/** Notices a half-open connection, which a browser would keep for minutes. */
export class Heartbeat {
	#timer = 0;
	#isWaiting = false;

	/** @param {() => void} ping @param {() => void} giveUp */
	constructor(ping, giveUp) {
		this.ping = ping;
		this.giveUp = giveUp;
	}

	/** Give up if no frame arrives within `PONG_TIMEOUT`. */
	expect() {
		this.stop();
		this.#isWaiting = true;
		this.#timer = setTimeout(this.giveUp, PONG_TIMEOUT);
	}

	/** A frame has arrived. */
	heard() {
		this.stop();
		this.#timer = setTimeout(() => this.check(), PING_AFTER);
	}

	/** Send a ping now, unless an answer is still due. */
	check() {
		if (this.#isWaiting) return;
		this.expect();
		this.ping();
	}

	stop() {
		clearTimeout(this.#timer);
		this.#isWaiting = false;
	}
}
