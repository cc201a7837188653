import { define, restart } from "./job-element.js";
import { WaitingPage } from "./waiting/page.js";
export { WaitingPage };

/**
 * `<job-waiting>`: the content of the waiting page (`waiting_card.html`). It works wherever it is put into a document:
 * by the server, by Turbo Drive, by htmx, or by a script that moves it.
 */
export class JobWaiting extends HTMLElement {
	static observedAttributes = ["data-job"];
	/** @type {WaitingPage | null} */ #page = null;

	connectedCallback() {
		if (document.documentElement.hasAttribute("data-turbo-preview")) return; // Turbo replaces it in a moment
		if (!this.#page && "connected" in this.dataset) return location.reload(); // a copy from the cache of Turbo or htmx
		this.#page ??= new WaitingPage(this);
		this.#page.start();
	}

	disconnectedCallback() {
		this.#page?.stop();
	}

	/** Another job's page was written over this one (morphing). */
	attributeChangedCallback() {
		if (!this.#page) return;
		restart(this);
		this.#page = null;
		delete this.dataset.connected;
	}
}

define("job-waiting", JobWaiting);
