import { Backoff } from "./backoff.js";
/** @import { Outcome } from "./types.d.ts" */

const BUSY = [502, 503, 504]; // "not just now", worth another try
const TIMEOUT = 30_000; // ms for one answer
const PAUSES = 7; // about a minute, which a restart of the server takes

/**
 * Post the ready form, so that the server runs `on_ready` once, and tell what is to be done then: `go` to a
 * place; `wait` on (not ready after all); `stale` (CSRF: only a fresh page helps); `stuck` (`on_ready` failed);
 * `unreachable`; or `submit` (an answer that only the browser itself can show).
 * @param {HTMLFormElement} form @returns {Promise<Outcome>}
 */
export async function claim(form) {
  const backoff = new Backoff();
  for (;;) {
    const response = await post(form);
    if (response && !BUSY.includes(response.status)) return outcome(response);
    if (backoff.tries === PAUSES) return { then: "unreachable" };
    await new Promise((resolve) => setTimeout(resolve, backoff.next()));
  }
}

/**
 * Post a form and ask for JSON; null when the server cannot be reached.
 * @param {HTMLFormElement} form @param {HTMLElement | null} [button]
 */
export async function post(form, button = null) {
  const body = new FormData(form, button);
  const headers = { Accept: "application/json", "X-CSRFToken": String(body.get("csrfmiddlewaretoken")) };
  const abort = new AbortController();
  setTimeout(() => abort.abort(), TIMEOUT); // a connection that has died in silence would never answer
  return fetch(form.action, { method: "POST", headers, body, cache: "no-store", signal: abort.signal }).catch(() => null);
}

/** @param {Response} response @returns {Promise<Outcome>} */
async function outcome(response) {
  if (response.status === 403) return { then: "stale" };
  const body = await response.json().catch(() => null);
  if (response.ok && typeof body?.url === "string") return { then: "go", url: body.url };
  if (body?.job && response.status === 409) return { then: "wait", frame: body };
  return { then: body?.job ? "stuck" : "submit" };
}
