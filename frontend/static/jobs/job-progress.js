import { ENDED } from "./client/events.js";
import { inNumbers, inPercent } from "./elements/words.js";
import { define, JobElement } from "./job-element.js";
/** @import { Job } from "./types.d.ts" */

/** `<job-progress job="…">`: a bar with the job's name, per cent, numbers and latest message. */
export class JobProgress extends JobElement {
	/** @param {Job} job */
	render({ header = "", state, progress }) {
		const percent = state === "complete" ? 100 : (progress?.percent ?? null);
		const bar = this.piece("bar", "progress");
		bar.max = 100;
		bar.setAttribute("aria-label", header);
		if (percent === null) bar.removeAttribute("value");
		else bar.value = percent;
		this.write("percent", inPercent(percent));
		this.write("count", progress ? inNumbers(this, progress) : "");
		this.write("detail", ENDED.has(state) ? "" : (progress?.message ?? ""), "bdi");
	}
}

define("job-progress", JobProgress);
