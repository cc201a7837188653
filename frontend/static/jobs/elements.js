/** All elements for any page. `bundle/elements.js` is the same in one file. */
import "./job-bell.js";
import "./job-list.js";
import "./job-progress.js";
import "./job-status.js";
export { JobsClient } from "./client.js";
