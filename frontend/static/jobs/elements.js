/** All the elements at once; a page that needs one may load its own module instead. */
import "./job-bell.js";
import "./job-list.js";
import "./job-progress.js";
import "./job-status.js";
