import { Backoff } from "./backoff.js";
import { claim } from "./claim.js";
import { JobsClient } from "./client.js";
import { ENDED, on } from "./events.js";
import { WaitingView } from "./waiting-view.js";
/** @import { Subscription } from "./subscription.js" */
/** @import { Job } from "./types.d.ts" */

const PATIENCE = 2_000; // ms until we speak of a lost connection
const UNHURRIED = 1_000; // ms; who is done by then hears nothing of time
const LOOKS = 5; // half a minute, in which workers fill an empty store again

/** Listens to its job, shows it, and calls the server back; `data-connected` and `data-state` tell. */
export class WaitingPage {
	/** @type {AbortController | null} */ #running = null;
	/** @type {Subscription | null} */ #subscription = null;
	#patience = 0;
	#nextLook = 0;
	#looks = new Backoff({ first: 1_000 });
	#claiming = false;

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
		this.#watchThePage(signal);
		this.#showConnection();
		if ("stuck" in this.root.dataset) this.#giveUp("stuck");
		else if (this.view.state === "complete") this.#callBack();
		else if (!this.#isOver) this.#listen();
		const tellTheTime = () => import("./pace.js").then((it) => new it.Pace(this.view).start(signal), () => {});
		if (!ENDED.has(this.view.state)) setTimeout(tellTheTime, UNHURRIED);
	}

	stop() {
		this.#running?.abort();
		this.#running = null;
		clearTimeout(this.#patience);
		this.#hangUp();
	}

	/** A lost job alone may be found again, until it is claimed. */
	get #isOver() {
		const { state } = this.view;
		return "claimed" in this.root.dataset || (ENDED.has(state) && state !== "lost");
	}

	/** @param {AbortSignal} signal */
	#watchThePage(signal) {
		/** @param {EventTarget | null} target @param {string} type @param {(event: any) => void} hear */
		const when = (target, type, hear) => target?.addEventListener(type, hear, { signal });
		when(this.client, "connected", () => this.#showConnection());
		when(window, "online", () => this.#showConnection());
		when(window, "offline", () => this.#showConnection());
		when(window, "pageshow", (event) => this.#comeBack(event));
		when(document, "visibilitychange", () => (this.#follow(), this.#callBack()));
		when(this.view.part("leave"), "click", () => this.#leave());
		when(this.view.part("cancel"), "submit", (event) => this.#cancel(event));
	}

	#listen() {
		this.#hangUp();
		const { job, ticket, version, url } = this.root.dataset;
		this.#subscription = this.client.subscribe({ job, ticket }, { version: Number(version) - 1, poll: url });
		on(this.#subscription, "change", (job) => this.#hear(job));
		on(this.#subscription, "gone", () => this.#lookAgain());
	}

	#hangUp() {
		clearTimeout(this.#nextLook);
		this.#subscription?.unsubscribe();
		this.#subscription = null;
	}

	/** @param {Job} job */
	#hear(job) {
		this.#looks.tries = 0;
		this.view.render(job);
		if (document.hidden || "told" in this.root.dataset) this.#follow();
		if (!ENDED.has(job.state)) return;
		this.view.say("note", "");
		if (this.#isOver) this.#hangUp();
		this.#callBack();
	}

	#lookAgain() {
		if (this.#looks.tries < LOOKS) this.#nextLook = setTimeout(() => this.#listen(), this.#looks.next());
		else this.#giveUp("gone");
	}

	/** Once somebody looks; the other ends wait for *Continue*. */
	async #callBack() {
		const form = this.view.part("ready");
		const mayGo = !document.hidden || "redirectHidden" in this.root.dataset;
		if (!form || this.#claiming || this.view.state !== "complete" || !mayGo) return;
		this.#claiming = true;
		this.view.say("note", "leaving");
		const { then, url, frame } = await claim(form);
		if (then === "go") location.replace(url ?? "");
		else if (then === "submit") form.submit();
		else if (then === "wait") this.#waitOn(frame?.job);
		else this.#giveUp(then);
	}

	#follow() {
		import("./background.js").then((it) => it.follow(this.view), () => {});
	}

	/** Asks while it is still the click that asks. */
	#leave() {
		const asked = globalThis.Notification?.requestPermission();
		import("./background.js").then((it) => it.leave(this.view, asked), () => {});
	}

	/** @param {Job} [job] */
	#waitOn(job) {
		this.#claiming = false;
		this.view.say("note", "");
		if (job) this.view.render(job);
		this.#listen();
	}

	/** Say why, and do nothing more by ourselves. @param {"stale" | "stuck" | "unreachable" | "gone"} reason */
	#giveUp(reason) {
		this.#claiming = true;
		this.#hangUp();
		const { dataset } = this.root;
		const mayTry = /stuck|unreachable/.test(reason);
		if (mayTry) dataset.stuck = "";
		if (reason === "gone") dataset.state = "gone";
		this.view.say("word", reason === "gone" ? "" : this.view.state);
		this.view.say("note", reason);
		this.view.say("link", "");
		for (const part of ["cancel", "leave"]) this.view.toggle(part, false);
		this.view.toggle("ready", mayTry);
		this.view.toggle("reload", !mayTry);
		this.view.toggle("list", /stuck|gone/.test(reason));
	}

	/** @param {SubmitEvent} event */
	async #cancel(event) {
		event.preventDefault();
		const module = await import("./cancel.js").catch(() => null);
		if (!module) return this.view.part("cancel").submit();
		const { frame, then } = await module.cancel(this.view, event.submitter);
		if (frame) this.client.receive(frame);
		if (then === "stale") this.#giveUp(then);
	}

	/** Only the server knows what became of an end. @param {PageTransitionEvent} event */
	#comeBack({ persisted }) {
		if (persisted && (this.#claiming || ENDED.has(this.view.state))) location.reload();
	}

	#showConnection() {
		this.root.dataset.connected = this.client.connected;
		clearTimeout(this.#patience);
		this.view.say("link", "");
		if (!this.client.connected) this.#patience = setTimeout(() => this.#speakOfIt(), PATIENCE);
	}

	#speakOfIt() {
		if (this.#subscription) this.view.say("link", navigator.onLine ? "reconnecting" : "offline");
	}
}

const root = document.querySelector(".jobs-waiting");
if (root instanceof HTMLElement) new WaitingPage(root).start();
