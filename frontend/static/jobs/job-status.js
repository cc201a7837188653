import { word } from "./elements/words.js";
import { define, JobElement } from "./job-element.js";
/** @import { Job } from "./types.d.ts" */

/** `<job-status job="…">`: a job's state as a word that is also spoken, and why the job failed. */
export class JobStatus extends JobElement {
	connectedCallback() {
		if (!this.hasAttribute("role")) this.setAttribute("role", "status");
		super.connectedCallback();
	}

	/** @param {Job} job */
	render({ state, error }) {
		this.write("word", word(this, state) || state);
		this.write("detail", error ?? "", "bdi");
	}
}

define("job-status", JobStatus);
