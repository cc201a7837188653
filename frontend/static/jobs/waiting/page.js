import { JobsClient } from "../client.js";
import { Backoff, pause } from "../client/backoff.js";
import { ENDED, on } from "../client/events.js";
import { claim } from "./claim.js";
import { WaitingView } from "./view.js";
/** @import { Subscription } from "../client/subscription.js" */
/** @import { Job } from "../types.d.ts" */
/** @import { Reason } from "./view.js" */

const RECONNECT_NOTICE_AFTER = 2_000; // ms until the page mentions a lost connection
const SHOW_TIME_AFTER = 1_000; // ms; a job that is done by then needs no estimate
const GONE_RETRIES = 5; // half a minute, in which workers fill an emptied store again
const DOWNLOAD_AFTER = 5_000; // ms; a page that is still here then has started a download

/**
 * Follows its job, shows it, and claims its result. `data-connected` and `data-state`
 * show how it is.
 *
 * `start()` and `stop()` may be called repeatedly. After `stop()` nothing is open, and the page
 * does not move the reader any more.
 */
export class WaitingPage {
	/** @type {AbortController | null} */ #running = null;
	/** @type {Subscription | null} */ #subscription = null;
	#noticeTimer = 0;
	#goneTimer = 0;
	#goneRetries = new Backoff({ first: 1_000 });
	#isClaiming = false;

	/** @param {HTMLElement} root */
	constructor(root, client = JobsClient.shared(root.dataset.socket)) {
		this.root = root;
		this.client = client;
		this.view = new WaitingView(root);
	}

	start() {
		if (this.#running) return;
		this.#running = new AbortController();
		const { signal } = this.#running;
		this.#addListeners(signal);
		this.#showConnection();
		if ("stuck" in this.root.dataset) this.#giveUp("stuck");
		else if (this.view.state === "complete") this.#claim();
		else if (!this.#isOver) this.#subscribe();
		if (!ENDED.has(this.view.state)) this.#showTimeLater(signal);
	}

	stop() {
		this.#running?.abort();
		this.#running = null;
		this.#isClaiming = false;
		clearTimeout(this.#noticeTimer);
		this.#unsubscribe();
	}

	/** A lost job may still come back, until somebody claims it. All other ends are final. */
	get #isOver() {
		const { state } = this.view;
		return "claimed" in this.root.dataset || (ENDED.has(state) && state !== "lost");
	}

	/** @param {AbortSignal} signal */
	#addListeners(signal) {
		const { client, view } = this;
		/** @typedef {(event: any) => void} Listener */
		/** @param {EventTarget | null} target @param {string} type @param {Listener} listener */
		function when(target, type, listener) {
			target?.addEventListener(type, listener, { signal });
		}
		when(client, "connected", () => this.#showConnection());
		when(window, "online", () => this.#showConnection());
		when(window, "offline", () => this.#showConnection());
		when(window, "pageshow", (event) => this.#onPageShow(event));
		when(document, "visibilitychange", () => (this.#updateBackground(), this.#claim()));
		when(view.part("leave"), "click", () => this.#leave());
		when(view.part("cancel"), "submit", (event) => this.#cancel(event));
	}

	/** @param {AbortSignal} signal */
	async #showTimeLater(signal) {
		await pause(SHOW_TIME_AFTER, signal);
		const module = await import("./pace.js").catch(() => null); // the page works without it
		if (module) new module.Pace(this.view).start(signal);
	}

	#subscribe() {
		this.#unsubscribe();
		const { job, ticket, version, url } = this.root.dataset;
		const options = { version: Number(version) - 1, poll: url };
		this.#subscription = this.client.subscribe({ job, ticket }, options);
		on(this.#subscription, "change", (job) => this.#onChange(job));
		on(this.#subscription, "gone", () => this.#onGone());
	}

	#unsubscribe() {
		clearTimeout(this.#goneTimer);
		this.#subscription?.unsubscribe();
		this.#subscription = null;
	}

	/** @param {Job} job */
	#onChange(job) {
		this.#goneRetries.tries = 0;
		this.view.render(job);
		if (document.hidden || "told" in this.root.dataset) this.#updateBackground();
		if (!ENDED.has(job.state)) return;
		this.view.say("note", "");
		if (this.#isOver) this.#unsubscribe();
		this.#claim();
	}

	/** The job is missing, perhaps only until its worker writes it again. */
	#onGone() {
		if (this.#goneRetries.tries >= GONE_RETRIES) return this.#giveUp("gone");
		this.#goneTimer = setTimeout(() => this.#subscribe(), this.#goneRetries.next());
	}

	/**
	 * Claim a complete job and go where the server says, if somebody looks at the page.
	 * After any other end the reader has to press *Continue*.
	 */
	async #claim() {
		const form = this.view.part("ready");
		const signal = this.#running?.signal;
		const mayGo = !document.hidden || "redirectHidden" in this.root.dataset;
		const isDone = this.#isClaiming || "claimed" in this.root.dataset;
		if (!form || !signal || isDone || this.view.state !== "complete" || !mayGo) return;
		this.#isClaiming = true;
		this.view.say("note", "leaving");
		this.view.toggle("ready", false);
		const say = (/** @type {string} */ word) => this.view.say("note", word);
		const { then, url, frame } = await claim(form, signal, say);
		if (signal.aborted) return; // the reader has left the page
		if (then === "go") this.#go(url ?? "", signal);
		else if (then === "submit") form.submit();
		else if (then === "wait") this.#keepWaiting(frame?.job);
		else this.#giveUp(then);
	}

	/** @param {string} url @param {AbortSignal} signal */
	async #go(url, signal) {
		const { href } = location;
		this.root.dataset.claimed = "";
		location.replace(url);
		if (location.href !== href) location.reload(); // only the fragment differs
		do await pause(DOWNLOAD_AFTER, signal);
		while (document.hidden && !signal.aborted);
		const link = this.view.part("result");
		if (signal.aborted || !link) return;
		link.href = url;
		this.#giveUp("downloaded");
	}

	#updateBackground() {
		const signal = this.#running?.signal;
		if (signal) import("./background.js").then((it) => it.follow(this.view, signal), () => {});
	}

	/** Ask for permission inside the click, because browsers allow it only there. */
	#leave() {
		const permission = globalThis.Notification?.requestPermission();
		import("./background.js").then((it) => it.leave(this.view, permission), () => {});
	}

	/** @param {Job} [job] */
	#keepWaiting(job) {
		this.#isClaiming = false;
		this.view.say("note", "");
		if (job) this.view.render(job);
		this.#subscribe();
	}

	/** Say why, and do nothing more without the reader. @param {Reason} reason */
	#giveUp(reason) {
		this.#isClaiming = true;
		this.#unsubscribe();
		this.view.giveUp(reason);
	}

	/** @param {SubmitEvent} event */
	async #cancel(event) {
		event.preventDefault();
		const signal = this.#running?.signal;
		const module = await import("./cancel.js").catch(() => null);
		if (!module) return this.view.part("cancel").submit();
		if (!signal || signal.aborted) return;
		const { frame, then } = await module.cancel(this.view, signal, event.submitter);
		if (signal.aborted) return;
		if (frame) this.client.receive(frame);
		if (then === "stale" || then === "signed_out") this.#giveUp(then);
	}

	/**
	 * Reload an ended job's page from the cache: only the server knows whether it is claimed.
	 * @param {PageTransitionEvent} event
	 */
	#onPageShow({ persisted }) {
		if (persisted && (this.#isClaiming || ENDED.has(this.view.state))) location.reload();
	}

	#showConnection() {
		const { connected } = this.client;
		this.root.dataset.connected = connected;
		clearTimeout(this.#noticeTimer);
		this.view.say("link", "");
		if (connected) return;
		this.#noticeTimer = setTimeout(() => this.#noticeLostConnection(), RECONNECT_NOTICE_AFTER);
	}

	#noticeLostConnection() {
		const name = navigator.onLine ? "reconnecting" : "offline";
		if (this.#subscription) this.view.say("link", name);
	}
}
