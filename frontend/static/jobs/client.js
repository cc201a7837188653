import { Connection } from "./client/connection.js";
import { emit, isJobFrame, on } from "./client/events.js";
import { keyOf, Subscription } from "./client/subscription.js";
/** @import { Pollings } from "./client/polling.js" */
/** @import { ClientOptions, Connected, Frame, SocketClass, SubscribeOptions, Topic } from "./types.d.ts" */

const FAILURES_BEFORE_POLLING = 2;
const BURST = 25; // frames a second, half of what the server takes

const SHARED = Symbol.for("jobs.clients"); // a page may load this module twice, alone and in a bundle
/** @type {any} */ const page = globalThis;

/**
 * One socket for the page, open from the first subscription to the last (docs/frontend.md). `connected` is "socket",
 * "polling" or "" (nothing is heard); an event tells of its change.
 */
export class JobsClient extends EventTarget {
	/** @type {Set<Subscription>} */ #subscriptions = new Set();
	/** @type {Map<string, Frame>} for subscriptions that come later */ #latest = new Map();
	/** @type {Pollings | null} */ #pollings = null;
	/** @type {Connected} */ connected = "";
	#mayPoll = false;

	/** @param {ClientOptions} [options] */
	constructor({ url = "/ws/jobs/", job, WebSocket, fetch } = {}) {
		super();
		this.job = job;
		this.fetch = fetch;
		this.connection = url ? this.#connection(url, WebSocket) : null; // "": no sockets, polling only
	}

	/** @param {string} url @param {SocketClass} [WebSocket] */
	#connection(url, WebSocket) {
		const address = new URL(url, location.href);
		address.protocol = address.protocol.replace("http", "ws");
		const connection = new Connection(address.href, WebSocket);
		on(connection, "open", () => this.#resubscribe());
		on(connection, "frame", (frame) => this.#hear(frame));
		on(connection, "down", (failures) => this.#down(failures >= FAILURES_BEFORE_POLLING));
		on(connection, "refused", (code) => (code === 4404 ? this.#gone() : this.#down(true)));
		return connection;
	}

	/** The one client of this page for a socket's path. */
	static shared(url = "/ws/jobs/") {
		/** @type {Map<string, JobsClient>} */ const clients = (page[SHARED] ??= new Map());
		const client = clients.get(url) ?? new this({ url });
		clients.set(url, client);
		return client;
	}

	/** @param {Topic} topic @param {SubscribeOptions} [options] */
	subscribe(topic, options = {}) {
		const { signal } = options;
		const it = new Subscription(topic, options, (it) => this.#leave(it));
		if (signal?.aborted) {
			it.unsubscribe();
			return it;
		}
		signal?.addEventListener("abort", () => it.unsubscribe());
		if (!this.#isShared(it)) this.#send("subscribe", it);
		this.#subscriptions.add(it);
		queueMicrotask(() => this.#latest.forEach((frame) => this.#tell(it, frame)));
		this.start();
		if (this.#mayPoll) this.#poll();
		return it;
	}

	/** Connect; subscribing does so by itself. */
	start() {
		if (this.connection) this.connection.start();
		else this.#poll();
	}

	/** Until a later `start()`. */
	stop() {
		this.connection?.stop();
		this.#stopPolling();
		this.#become("");
	}

	/**
	 * From the answer to a request, which knows less of whom it is for. `topic` is what was asked for, if that is not
	 * the job's own id: another job may run in its place.
	 * @param {Frame} frame @param {Topic} [topic]
	 */
	receive(frame, topic = { job: frame.job.id }) {
		const known = this.#latest.get(frame.job.id)?.for ?? [];
		const isKnown = known.some((one) => keyOf(one) === keyOf(topic));
		this.#take({ ...frame, for: isKnown ? known : [...known, topic] });
	}

	/** @param {Frame} frame */
	#take(frame) {
		const { id, version } = frame.job;
		if (version >= (this.#latest.get(id)?.job.version ?? 0)) this.#latest.set(id, frame);
		for (const it of [...this.#subscriptions]) this.#tell(it, frame);
	}

	/** Whoever has left hears nothing more. @param {Subscription} it @param {Frame} frame */
	#tell(it, frame) {
		if (this.#subscriptions.has(it)) it.receive(frame);
	}

	/** @param {Subscription} it */
	#leave(it) {
		if (!this.#subscriptions.delete(it) || this.#isShared(it)) return;
		this.#pollings?.drop(it.key);
		this.#send("unsubscribe", it);
		if (this.#subscriptions.size) return;
		this.#latest.clear();
		this.stop();
	}

	/** @param {Subscription} it */
	#isShared({ key }) {
		return [...this.#subscriptions].some((other) => other.key === key);
	}

	/** @param {string} action @param {Subscription} it */
	#send(action, { topic }) {
		if (!topic.job || topic.job !== this.job) this.connection?.send({ action, ...topic });
	}

	async #resubscribe() {
		let sent = 0;
		for (const it of new Map([...this.#subscriptions].map((it) => [it.key, it])).values()) {
			this.#send("subscribe", it);
			if (++sent % BURST === 0) await new Promise((resolve) => setTimeout(resolve, 1_000));
		}
	}

	/** @param {any} frame */
	#hear(frame) {
		this.#stopPolling();
		this.#become("socket");
		if (isJobFrame(frame)) this.#take(frame);
		else if (frame?.code === "not_found") this.#gone(keyOf(frame));
		else if (frame?.event === "ticket") this.#renew(frame);
	}

	/** A ticket expires, and an open socket brings the next. @param {Topic} topic */
	#renew({ ticket, ...topic }) {
		for (const it of this.#subscriptions) if (it.key === keyOf(topic)) it.topic.ticket = ticket;
	}

	#gone(key = "") {
		for (const it of [...this.#subscriptions]) if (!key || it.key === key) it.gone();
	}

	#down(forLong = false) {
		if (this.connected === "socket") this.#become("");
		if (forLong) this.#poll();
	}

	async #poll() {
		this.#mayPoll = true;
		const module = await import("./client/polling.js").catch(() => null); // the next failure asks again
		if (!module || !this.#mayPoll) return;
		this.#pollings ??= new module.Pollings(this, (connected) => this.#become(connected), (frame) => this.#take(frame));
		this.#pollings.follow(this.#subscriptions);
	}

	#stopPolling() {
		this.#mayPoll = false;
		this.#pollings?.stop();
	}

	/** @param {Connected} connected */
	#become(connected) {
		if (this.connected === connected) return;
		this.connected = connected;
		emit(this, "connected");
	}
}
