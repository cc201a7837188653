import { Backoff } from "./backoff.js";
import { claim } from "./claim.js";
import { JobsClient } from "./client.js";
import { ENDED, isJobFrame, on } from "./events.js";
import { WaitingView } from "./waiting-view.js";
/** @import { Subscription } from "./subscription.js" */
/** @import { Job } from "./types.d.ts" */

const PATIENCE = 2_000; // ms that a connection may be gone until we speak of it
const UNHURRIED = 1_000; // ms; who is done by then needs to hear nothing of time
const LOOKS = 5; // half a minute: a store that restarted is filled again by its workers

/**
 * The waiting page: listens to its job, shows it, and calls the server back when it is ready.
 * `data-connected` ("socket", "polling" or "") and `data-state` on the root tell how it is doing.
 */
export class WaitingPage {
  /** @type {AbortController | null} */ #running = null;
  /** @type {Subscription | null} */ #subscription = null;
  /** @type {number | undefined} */ #patience;
  /** @type {number | undefined} */ #nextLook;
  #looks = new Backoff({ first: 1_000 });
  #claiming = false;

  /** @param {HTMLElement} root @param {JobsClient} [client] */
  constructor(root, client) {
    this.root = root;
    this.view = new WaitingView(root);
    const { job, socket = "" } = root.dataset;
    const ofOneJob = socket.includes(`/${job}/`);
    this.client = client ?? (ofOneJob ? new JobsClient({ url: socket, job }) : JobsClient.shared(socket));
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

  /** Nothing can change any more; a lost job alone may be found again, until it is claimed. */
  get #isOver() {
    const { state } = this.view;
    return "claimed" in this.root.dataset || (ENDED.has(state) && state !== "lost");
  }

  /** @param {AbortSignal} signal */
  #watchThePage(signal) {
    const showConnection = () => this.#showConnection();
    this.client.addEventListener("connected", showConnection, { signal });
    for (const type of ["online", "offline"]) window.addEventListener(type, showConnection, { signal });
    window.addEventListener("pageshow", (event) => this.#comeBack(event), { signal });
    document.addEventListener("visibilitychange", () => (this.#follow(), this.#callBack()), { signal });
    this.view.part("leave")?.addEventListener("click", () => this.#leave(), { signal });
    this.view.part("cancel")?.addEventListener("submit", (/** @type {SubmitEvent} */ event) => this.#cancel(event), { signal });
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

  /** A complete job calls back by itself, once somebody looks at the page; the other ends wait for *Continue*. */
  async #callBack() {
    const form = this.view.part("ready");
    const mayGo = !document.hidden || "redirectHidden" in this.root.dataset;
    if (!form || this.#claiming || this.view.state !== "complete" || !mayGo) return;
    this.#claiming = true;
    this.view.say("note", "leaving");
    const { then, url, frame } = await claim(form);
    if (then === "go") location.replace(url ?? "");
    else if (then === "submit") form.submit();
    else if (then === "wait") this.#waitOn(frame);
    else this.#giveUp(then);
  }

  #follow() {
    import("./background.js").then((it) => it.follow(this.view), () => {});
  }

  /** Asked while it is still the click that asks. */
  #leave() {
    const asked = globalThis.Notification?.requestPermission();
    import("./background.js").then((it) => it.leave(this.view, asked), () => {});
  }

  /** @param {unknown} frame */
  #waitOn(frame) {
    this.#claiming = false;
    this.view.say("note", "");
    if (isJobFrame(frame)) this.view.render(frame.job);
    this.#listen();
  }

  /** Say what is the matter, and do nothing more by ourselves. @param {"stale" | "stuck" | "unreachable" | "gone"} reason */
  #giveUp(reason) {
    this.#claiming = true;
    this.#hangUp();
    this.view.say("note", reason);
    this.view.toggle("cancel", false);
    this.view.toggle("ready", ["stuck", "unreachable"].includes(reason));
    this.view.toggle("reload", ["stale", "gone"].includes(reason));
    this.view.toggle("list", ["stuck", "gone"].includes(reason));
  }

  /** @param {SubmitEvent} event */
  async #cancel(event) {
    event.preventDefault();
    this.view.say("note", "cancelling");
    const { cancel } = await import("./cancel.js").catch(() => ({ cancel: null }));
    if (!cancel) return this.view.part("cancel").submit();
    const { frame, then } = await cancel(this.view.part("cancel"), event.submitter);
    if (then === "stale") this.#giveUp(then);
    else if (frame) this.client.receive(frame);
    else this.view.say("note", then);
  }

  /** Back from the back-forward cache, only the server knows what has become of an end. @param {PageTransitionEvent} event */
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
