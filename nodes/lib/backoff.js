'use strict';
/** How long to wait before the next try: doubling from the shortest to the longest wait, with jitter. */

class Backoff {
  constructor(random = Math.random) {
    this.random = random;
    this.reset();
  }

  /** The bounds of the doubling time, in ms. */
  between(shortestMs, longestMs) {
    Object.assign(this, { shortestMs, longestMs });
  }

  /** Start from the beginning. */
  reset() {
    this.tries = 0;
  }

  /** The next wait, in ms: between half and all of the doubling time. */
  next() {
    const full = Math.min(this.longestMs, this.shortestMs * 2 ** this.tries);
    this.tries = Math.min(this.tries + 1, 32);
    return full * (0.5 + this.random() / 2);
  }

  /** The link was up for so long: one that breaks all the time is not tried quickly all the time. */
  lasted(ms) {
    if (ms >= this.longestMs) {
      this.reset();
    }
  }
}

module.exports = { Backoff };
