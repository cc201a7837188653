/** Growing, jittered delays: the many pages that lost one server must not come back in the same instant. */
export class Backoff {
  tries = 0;

  /** All in milliseconds. */
  constructor({ first = 500, most = 30_000, factor = 2 } = {}) {
    this.step = () => Math.min(most, first * factor ** this.tries++);
  }

  /** Between half a step and a whole one. */
  next() {
    return this.step() * (0.5 + Math.random() / 2);
  }
}
