import { ENDED } from "./client/events.js";
import { define, JobElement } from "./job-element.js";
import { inNumbers, inPercent } from "./elements/words.js";
/** @import { Job } from "./types.d.ts" */

/** `<job-progress job="…">`: a bar with the job's name, the per cent, the numbers, and what is being done just now. */
export class JobProgress extends JobElement {
	/** @param {Job} job */
	render({ header = "", state, progress }) {
		const percent = state === "complete" ? 100 : (progress?.percent ?? null);
		const bar = this.piece("bar", "progress");
		bar.max = 100;
		bar.setAttribute("aria-label", header);
		if (percent === null) bar.removeAttribute("value");
		else bar.value = percent;
		this.write(this.piece("percent"), inPercent(percent));
		this.write(this.piece("count"), progress ? inNumbers(this, progress) : "");
		this.write(this.piece("detail", "bdi"), ENDED.has(state) ? "" : (progress?.message ?? ""));
	}
}

define("job-progress", JobProgress);
