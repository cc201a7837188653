import { define, JobElement } from "./job-element.js";
import { word } from "./elements/words.js";
/** @import { Job } from "./types.d.ts" */

/** `<job-status job="…">`: how a job is, in a word that is also spoken, and why it has failed. */
export class JobStatus extends JobElement {
	connectedCallback() {
		if (!this.hasAttribute("role")) this.setAttribute("role", "status");
		super.connectedCallback();
	}

	/** @param {Job} job */
	render({ state, error }) {
		this.write(this.piece("word"), word(this, state) || state);
		this.write(this.piece("detail", "bdi"), error ?? "");
	}
}

define("job-status", JobStatus);
