import { Backoff, jittered } from "./backoff.js";
import { emit } from "./events.js";
import { Heartbeat } from "./heartbeat.js";
/** @import { SocketClass } from "../types.d.ts" */

const REFUSED_CODES = [4400, 4404]; // close codes after which a reconnect cannot help
const STABLE_AFTER = 5_000; // ms; a connection that lived longer resets the delays
const HOPELESS_FAILURES = 6; // about half a minute without one frame: sockets do not work here
const HOPELESS_DELAY = 300_000; // ms between attempts after that

/**
 * One WebSocket that reconnects, also after the page comes back from sleep or from a cache.
 * Emits `open`, `frame`, `refused` (the close code), and `down` (the number of connections in a
 * row that failed before their first frame).
 */
export class Connection extends EventTarget {
	/** @type {WebSocket | null} */ #socket = null;
	/** @type {AbortController | null} */ #running = null;
	#retry = 0;
	#heartbeat = new Heartbeat(() => this.send({ action: "ping" }), () => this.#onLost());
	#backoff = new Backoff();
	#failures = 0;
	#hasHeard = false;
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
		addEventListener("online", check, { signal });
		addEventListener("offline", check, { signal });
		addEventListener("pageshow", check, { signal });
		document.addEventListener("visibilitychange", check, { signal });
		this.#connect();
	}

	stop() {
		this.#running?.abort();
		this.#running = null;
		this.#failures = this.#backoff.tries = 0;
		this.#close();
	}

	/** Send a frame if the socket is open. The client subscribes again at every `open`. */
	send(frame = {}) {
		if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
	}

	/** Check the connection now, or reconnect now. */
	check() {
		if (this.#socket) this.#heartbeat.check();
		else if (this.#running) this.#connect();
	}

	#connect() {
		clearTimeout(this.#retry);
		this.#hasHeard = false;
		try {
			this.#listen(new this.Socket(this.url));
		} catch {
			this.#onLost(); // a security policy forbids it
		}
	}

	/** @param {WebSocket} socket */
	#listen(socket) {
		this.#socket = socket;
		this.#heartbeat.expect();
		socket.onopen = () => {
			this.#openedAt = Date.now();
			this.#heartbeat.expect(); // a server may accept the socket and then stay silent
			emit(this, "open");
		};
		socket.onmessage = ({ data }) => this.#onMessage(data);
		socket.onclose = ({ code }) => this.#onLost(code);
	}

	#onMessage(text = "") {
		this.#heartbeat.heard();
		this.#hasHeard = this.#hasEverHeard = true;
		this.#failures = 0;
		try {
			emit(this, "frame", JSON.parse(text));
		} catch {
			// not a frame of ours
		}
	}

	#onLost(code = 0) {
		this.#close();
		if (REFUSED_CODES.includes(code)) {
			this.stop();
			return emit(this, "refused", code);
		}
		if (!this.#hasHeard) this.#failures += 1;
		else if (Date.now() - this.#openedAt > STABLE_AFTER) this.#backoff.tries = 0;
		const isHopeless = !this.#hasEverHeard && this.#failures >= HOPELESS_FAILURES;
		const delay = isHopeless ? jittered(HOPELESS_DELAY) : this.#backoff.next();
		this.#retry = setTimeout(() => this.#connect(), delay);
		emit(this, "down", this.#failures);
	}

	/** Do not wait for the close event, because a half-open socket reports it very late. */
	#close() {
		clearTimeout(this.#retry);
		this.#heartbeat.stop();
		const socket = this.#socket;
		this.#socket = null;
		if (!socket) return;
		socket.onopen = socket.onmessage = socket.onclose = null;
		socket.close();
	}
}
