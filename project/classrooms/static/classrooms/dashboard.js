// @ts-check
/** The dashboard's own use of the client, beside the `<job-list>` and on the same socket: figures, and news. */
import { JobsClient } from "../jobs/client.js";

const figures = document.getElementById("figures");
const news = document.getElementById("news");
const alive = new Set(["pending", "running", "retrying"]);

/** @type {Map<string, string>} the figure under which each job is counted */
const counted = new Map();

const mine = JobsClient.shared().subscribe({ mine: true });
mine.addEventListener("change", ({ detail: job }) => {
  counted.set(job.id, figureOf(job.state));
  for (const figure of figures.querySelectorAll("[data-figure]")) {
    figure.textContent = String([...counted.values()].filter((name) => name === figure.dataset.figure).length);
  }
});
mine.addEventListener("ready", ({ detail: job }) => {
  const link = document.createElement("a");
  link.className = "message";
  link.href = job.url;
  link.textContent = news.dataset.text.replace("%(header)s", job.header);
  news.replaceChildren(link);
});

/** @param {string} state */
function figureOf(state) {
  if (alive.has(state)) return "alive";
  return state === "complete" ? "complete" : "stopped";
}
