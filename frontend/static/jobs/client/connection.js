import { Backoff, jittered } from "./backoff.js";
import { emit } from "./events.js";
import { Heartbeat } from "./heartbeat.js";
/** @import { SocketClass } from "../types.d.ts" */

const REFUSED = [4400, 4404]; // asking again cannot help
const STABLE = 5_000; // ms of life after which the delays begin anew
const HOPELESS = 6; // failures, about half a minute, if nothing was ever heard: here sockets do not work
const SELDOM = 300_000; // ms between attempts then

/**
 * One WebSocket that is kept open, and looked after when the page comes back from sleep or a cache.
 * Emits `open`, `frame`, `down` (connections in a row on which nothing was heard), `refused` (the close code).
 */
export class Connection extends EventTarget {
	/** @type {WebSocket | null} */ #socket = null;
	/** @type {AbortController | null} */ #running = null;
	#retry = 0;
	#heartbeat = new Heartbeat(() => this.send({ action: "ping" }), () => this.#lost());
	#backoff = new Backoff();
	#failures = 0;
	#heard = false;
	#hasEverHeard = false;
	#openedAt = 0;

	/** @param {string} url @param {SocketClass} [Socket] */
	constructor(url, Socket = WebSocket) {
		super();
		this.url = url;
		this.Socket = Socket;
	}

	start() {
		if (this.#running) return;
		this.#running = new AbortController();
		const { signal } = this.#running;
		const check = () => document.visibilityState === "visible" && this.check();
		for (const type of ["online", "offline", "pageshow"]) addEventListener(type, check, { signal });
		document.addEventListener("visibilitychange", check, { signal });
		this.#connect();
	}

	stop() {
		this.#running?.abort();
		this.#running = null;
		this.#failures = this.#backoff.tries = 0;
		this.#drop();
	}

	/** What is lost is said again at `open`. */
	send(frame = {}) {
		if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
	}

	/** Make sure now. */
	check() {
		if (this.#socket) this.#heartbeat.check();
		else if (this.#running) this.#connect();
	}

	#connect() {
		clearTimeout(this.#retry);
		this.#heard = false;
		try {
			this.#listen(new this.Socket(this.url));
		} catch {
			this.#lost(); // forbidden by a policy
		}
	}

	/** @param {WebSocket} socket */
	#listen(socket) {
		this.#socket = socket;
		this.#heartbeat.expect();
		socket.onopen = () => {
			this.#openedAt = Date.now();
			this.#heartbeat.expect(); // it may accept and then say nothing
			emit(this, "open");
		};
		socket.onmessage = ({ data }) => this.#hear(data);
		socket.onclose = ({ code }) => this.#lost(code);
	}

	#hear(text = "") {
		this.#heartbeat.heard();
		this.#heard = this.#hasEverHeard = true;
		this.#failures = 0;
		try {
			emit(this, "frame", JSON.parse(text));
		} catch {
			// nothing that we know
		}
	}

	#lost(code = 0) {
		this.#drop();
		if (REFUSED.includes(code)) {
			this.stop();
			return emit(this, "refused", code);
		}
		if (!this.#heard) this.#failures += 1;
		else if (Date.now() - this.#openedAt > STABLE) this.#backoff.tries = 0;
		const isHopeless = !this.#hasEverHeard && this.#failures >= HOPELESS;
		const delay = isHopeless ? jittered(SELDOM) : this.#backoff.next();
		this.#retry = setTimeout(() => this.#connect(), delay);
		emit(this, "down", this.#failures);
	}

	/** At once: a half-open one would not report its close for a long time. */
	#drop() {
		clearTimeout(this.#retry);
		this.#heartbeat.stop();
		const socket = this.#socket;
		this.#socket = null;
		if (!socket) return;
		socket.onopen = socket.onmessage = socket.onclose = null;
		socket.close();
	}
}
