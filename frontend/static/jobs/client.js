import { Connection } from "./client/connection.js";
import { emit, isJobFrame, on } from "./client/events.js";
import { Retries } from "./client/retries.js";
import { keyOf, Subscription } from "./client/subscription.js";
/** @import { Pollings } from "./client/polling.js" */
/**
 * @import {
 *   ClientOptions, Connected, Frame, SocketClass, SubscribeOptions, Topic
 * } from "./types.d.ts"
 */

const SOCKET_PATH = "/ws/jobs/"; // the default of the setting; our templates name the path
const FAILURES_BEFORE_POLLING = 2;
const BURST = 25; // frames a second: half of what the server accepts

const SHARED = Symbol.for("jobs.clients"); // shared by all copies: a page may load this twice
/** @type {any} */ const page = globalThis;

/**
 * One socket for the page, open from the first subscription to the last (docs/frontend.md).
 * `connected` is "socket", "polling" or "" (no connection). A `connected` event reports changes.
 */
export class JobsClient extends EventTarget {
	/** @type {Set<Subscription>} */ #subscriptions = new Set();
	/** @type {Map<string, Frame>} by job; new subscriptions start with it */
	#latest = new Map();
	/** @type {Pollings | null} */ #pollings = null;
	/** @type {Connected} */ connected = "";
	#retries = new Retries((key) => this.#subscribeAgain(key));
	#mayPoll = false;

	/** @param {ClientOptions} [options] */
	constructor({ url = SOCKET_PATH, job, WebSocket, fetch } = {}) {
		super();
		this.job = job;
		this.fetch = fetch;
		this.connection = url ? this.#connection(url, WebSocket) : null; // "": polling only
	}

	/** @param {string} url @param {SocketClass} [WebSocket] */
	#connection(url, WebSocket) {
		const address = new URL(url, location.href);
		address.protocol = address.protocol.replace("http", "ws");
		const connection = new Connection(address.href, WebSocket);
		on(connection, "open", () => this.#resubscribe());
		on(connection, "frame", (frame) => this.#onFrame(frame));
		on(connection, "down", (failures) => this.#onDown(failures >= FAILURES_BEFORE_POLLING));
		on(connection, "refused", (code) => (code === 4404 ? this.#onGone() : this.#onDown(true)));
		return connection;
	}

	/** Return this page's client for a socket path; make it at the first call. */
	static shared(url = SOCKET_PATH) {
		/** @type {Map<string, JobsClient>} */ const clients = (page[SHARED] ??= new Map());
		const client = clients.get(url) ?? new this({ url });
		clients.set(url, client);
		return client;
	}

	/** @param {Topic} topic @param {SubscribeOptions} [options] */
	subscribe(topic, options = {}) {
		const { signal } = options;
		const subscription = new Subscription(topic, options, (it) => this.#remove(it));
		if (signal?.aborted) {
			subscription.unsubscribe();
			return subscription;
		}
		signal?.addEventListener("abort", () => subscription.unsubscribe());
		if (!this.#isShared(subscription)) this.#send("subscribe", subscription);
		this.#subscriptions.add(subscription);
		queueMicrotask(() => this.#latest.forEach((frame) => this.#deliver(subscription, frame)));
		this.start();
		if (this.#mayPoll) this.#poll();
		return subscription;
	}

	/** Connect. Subscribing does so by itself. */
	start() {
		if (this.connection) this.connection.start();
		else this.#poll();
	}

	/** Disconnect until the next `start()`. */
	stop() {
		this.connection?.stop();
		this.#retries.stop();
		this.#stopPolling();
		this.#setConnected("");
	}

	/**
	 * Accept a frame from an HTTP response, which does not say which subscriptions it is for.
	 * `topic` is what the request asked for. It may differ from the job's own id, because another
	 * job may run in its place.
	 * @param {Frame} frame @param {Topic} [topic]
	 */
	receive(frame, topic = { job: frame.job.id }) {
		const known = this.#latest.get(frame.job.id)?.for ?? [];
		const isKnown = known.some((one) => keyOf(one) === keyOf(topic));
		this.#accept({ ...frame, for: isKnown ? known : [...known, topic] });
	}

	/** @param {Frame} frame */
	#accept(frame) {
		const { id, version } = frame.job;
		if (version >= (this.#latest.get(id)?.job.version ?? 0)) this.#latest.set(id, frame);
		for (const subscription of [...this.#subscriptions]) this.#deliver(subscription, frame);
	}

	/**
	 * A listener may just have removed the subscription.
	 * @param {Subscription} it @param {Frame} frame
	 */
	#deliver(it, frame) {
		if (this.#subscriptions.has(it)) it.receive(frame);
	}

	/** @param {Subscription} it */
	#remove(it) {
		if (!this.#subscriptions.delete(it) || this.#isShared(it)) return;
		this.#pollings?.drop(it.key);
		this.#retries.drop(it.key);
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
		this.#retries.stop();
		let sent = 0;
		for (const it of new Map([...this.#subscriptions].map((it) => [it.key, it])).values()) {
			this.#send("subscribe", it);
			if (++sent % BURST === 0) await new Promise((resolve) => setTimeout(resolve, 1_000));
		}
	}

	/** @param {string} key */
	#subscribeAgain(key) {
		const subscription = [...this.#subscriptions].find((it) => it.key === key);
		if (subscription) this.#send("subscribe", subscription);
	}

	/** @param {any} frame */
	#onFrame(frame) {
		this.#stopPolling();
		this.#setConnected("socket");
		if (isJobFrame(frame)) this.#accept(frame);
		else if (frame?.event === "subscribed") this.#retries.drop(keyOf(frame));
		else if (frame?.event === "ticket") this.#renewTicket(frame);
		else if (frame?.event === "error") this.#onError(frame);
	}

	/** @param {any} frame */
	#onError(frame) {
		const key = keyOf(frame);
		if (frame.code === "not_found") this.#onGone(key);
		if (frame.code === "too_many" && key) this.#retries.schedule(key, frame.retry_after);
	}

	/**
	 * The server renews a ticket before it expires; the next connection needs it.
	 * @param {Topic} topic
	 */
	#renewTicket({ ticket, ...topic }) {
		const key = keyOf(topic);
		for (const it of this.#subscriptions) if (it.key === key) it.topic.ticket = ticket;
	}

	/** @param {string} [key] "" for all subscriptions */
	#onGone(key = "") {
		for (const it of [...this.#subscriptions]) if (!key || it.key === key) it.gone();
	}

	#onDown(shouldPoll = false) {
		if (this.connected === "socket") this.#setConnected("");
		if (shouldPoll) this.#poll();
	}

	async #poll() {
		this.#mayPoll = true;
		const module = await import("./client/polling.js").catch(() => null); // retried later
		if (!module || !this.#mayPoll) return;
		this.#pollings ??= new module.Pollings(
			this,
			(connected) => this.#setConnected(connected),
			(frame) => this.#accept(frame),
		);
		this.#pollings.follow(this.#subscriptions);
	}

	#stopPolling() {
		this.#mayPoll = false;
		this.#pollings?.stop();
	}

	/** @param {Connected} connected */
	#setConnected(connected) {
		if (this.connected === connected) return;
		this.connected = connected;
		emit(this, "connected");
	}
}
