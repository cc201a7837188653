import { define, restart } from "./job-element.js";
import { WaitingPage } from "./waiting/page.js";
export { WaitingPage };

/**
 * `<job-waiting>`: the content of the waiting page (`waiting_card.html`). It works wherever it is
 * put into a document: by the server, by Turbo Drive, by htmx, or by a script that moves it.
 */
export class JobWaiting extends HTMLElement {
	static observedAttributes = ["data-job"];
	/** @type {WaitingPage | null} */ #page = null;

	connectedCallback() {
		const isPreview = document.documentElement.hasAttribute("data-turbo-preview");
		if (isPreview) return; // Turbo replaces it in a moment
		const isCachedCopy = !this.#page && "connected" in this.dataset; // by Turbo or htmx
		if (isCachedCopy) return location.reload();
		this.#page ??= new WaitingPage(this);
		this.#page.start();
	}

	disconnectedCallback() {
		this.#page?.stop();
	}

	/** Morphing has written another job's page over this one. */
	attributeChangedCallback() {
		if (!this.#page) return;
		restart(this);
		this.#page = null;
		delete this.dataset.connected;
	}
}

define("job-waiting", JobWaiting);
