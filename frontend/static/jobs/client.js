import { Connection } from "./connection.js";
import { emit, isJobFrame, on } from "./events.js";
import { keyOf, Subscription } from "./subscription.js";
/** @import { Polling } from "./polling.js" */
/** @import { ClientOptions, Connected, Frame, SubscribeOptions, Topic } from "./types.d.ts" */

const FAILURES_BEFORE_POLLING = 2;
const BURST = 25; // frames a second, half of what the server takes

/**
 * Listen to jobs: one socket for the page, any number of subscriptions (docs/frontend.md); it opens with the first
 * and closes with the last. `connected` is "socket", "polling" or "" (nothing is heard); an event tells of its change.
 */
export class JobsClient extends EventTarget {
  /** @type {Map<string, JobsClient>} */ static #shared = new Map();
  /** @type {Map<Subscription, Polling>} */ #pollings = new Map();
  /** @type {Set<Subscription>} */ #subscriptions = new Set();
  /** @type {Map<string, Frame>} each job's last, for subscriptions that come later */ #latest = new Map();
  /** @type {Connected} */ connected = "";
  #mayPoll = false;

  /** @param {ClientOptions} [options] */
  constructor({ url = "/ws/jobs/", job, WebSocket, fetch } = {}) {
    super();
    this.job = job;
    this.fetch = fetch;
    const address = new URL(url, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.connection = new Connection(address.href, WebSocket);
    on(this.connection, "open", () => this.#resubscribe());
    on(this.connection, "frame", (frame) => this.#hear(frame));
    on(this.connection, "down", (failures) => this.#down(failures));
    on(this.connection, "refused", (code) => this.#refused(code));
  }

  /** The one client of this page for a socket's path. */
  static shared(url = "/ws/jobs/") {
    const client = this.#shared.get(url) ?? new this({ url });
    this.#shared.set(url, client);
    return client;
  }

  /** Listen to a job, to my jobs, or to a tag. @param {Topic} topic @param {SubscribeOptions} [options] */
  subscribe(topic, options = {}) {
    const { signal } = options;
    const subscription = new Subscription(topic, options, (it) => this.#leave(it));
    if (signal?.aborted) {
      subscription.unsubscribe();
      return subscription;
    }
    signal?.addEventListener("abort", () => subscription.unsubscribe());
    if (!this.#isShared(subscription)) this.#send("subscribe", subscription);
    this.#subscriptions.add(subscription);
    queueMicrotask(() => this.#latest.forEach((frame) => this.#tell(subscription, frame)));
    this.start();
    return subscription;
  }

  /** Connect; subscribing does so by itself. */
  start() {
    this.connection.start();
  }

  /** Close the connection and keep the subscriptions for a later `start()`. */
  stop() {
    this.connection.stop();
    this.#stopPolling();
    this.#become("");
  }

  /** Take a frame from the answer to a request, which knows less of whom it is for. @param {Frame} frame */
  receive(frame) {
    const { id } = frame.job;
    this.#take({ ...frame, for: this.#latest.get(id)?.for ?? [{ job: id }] });
  }

  /** @param {Frame} frame */
  #take(frame) {
    const { id, version } = frame.job;
    if (version >= (this.#latest.get(id)?.job.version ?? 0)) this.#latest.set(id, frame);
    for (const subscription of [...this.#subscriptions]) this.#tell(subscription, frame);
  }

  /** Whoever has left, perhaps just now, hears nothing more. @param {Subscription} subscription @param {Frame} frame */
  #tell(subscription, frame) {
    if (this.#subscriptions.has(subscription)) subscription.receive(frame);
  }

  /** @param {Subscription} subscription */
  #leave(subscription) {
    if (!this.#subscriptions.delete(subscription)) return;
    this.#pollings.get(subscription)?.stop();
    this.#pollings.delete(subscription);
    if (!this.#isShared(subscription)) this.#send("unsubscribe", subscription);
    if (this.#subscriptions.size) return;
    this.#latest.clear();
    this.stop();
  }

  /** @param {Subscription} subscription */
  #isShared({ key }) {
    return [...this.#subscriptions].some((other) => other.key === key);
  }

  /** @param {string} action @param {Subscription} subscription */
  #send(action, { topic }) {
    if (!topic.job || topic.job !== this.job) this.connection.send({ action, ...topic });
  }

  async #resubscribe() {
    let sent = 0;
    for (const subscription of new Map([...this.#subscriptions].map((it) => [it.key, it])).values()) {
      this.#send("subscribe", subscription);
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

  /** There is nothing of this name for us, or with no name nothing at all. */
  #gone(key = "") {
    for (const subscription of [...this.#subscriptions]) {
      if (!key || subscription.key === key) subscription.gone();
    }
  }

  /** @param {number} failures */
  #down(failures) {
    if (this.connected === "socket") this.#become("");
    if (failures >= FAILURES_BEFORE_POLLING) this.#startPolling();
  }

  /** @param {number} code */
  #refused(code) {
    this.#become("");
    if (code === 4404) this.#gone();
    else this.#startPolling();
  }

  async #startPolling() {
    this.#mayPoll = true;
    const module = await import("./polling.js").catch(() => null); // few pages need it; the next failure asks again
    if (!module || !this.#mayPoll) return;
    for (const it of this.#subscriptions) {
      if (it.poll && !this.#pollings.has(it)) this.#poll(it, new module.Polling(it.poll, this.fetch, it.topic.ticket));
    }
  }

  /** @param {Subscription} subscription @param {Polling} polling */
  #poll(subscription, polling) {
    this.#pollings.set(subscription, polling);
    on(polling, "frame", (frame) => {
      this.#become("polling");
      this.receive(frame);
    });
    on(polling, "down", () => this.#become(""));
    on(polling, "gone", () => subscription.gone());
    polling.start();
  }

  #stopPolling() {
    this.#mayPoll = false;
    for (const polling of this.#pollings.values()) polling.stop();
    this.#pollings.clear();
  }

  /** @param {Connected} connected */
  #become(connected) {
    if (this.connected === connected) return;
    this.connected = connected;
    emit(this, "connected");
  }
}
