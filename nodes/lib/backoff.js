'use strict';
/** How long to wait before the next try: doubling from half a second to half a minute, with jitter. */

const FIRST_MS = 500;
const LONGEST_MS = 30_000;
const HEALTHY_MS = 30_000; // a link that lasted this long starts from the beginning

class Backoff {
  constructor(random = Math.random) {
    this.random = random;
    this.tries = 0;
  }

  /** The next wait, in ms: between half and all of the doubling time. */
  next() {
    const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.tries);
    this.tries = Math.min(this.tries + 1, 16);
    return full * (0.5 + this.random() / 2);
  }

  /** The link was up for so long. */
  lasted(ms) {
    if (ms >= HEALTHY_MS) {
      this.tries = 0;
    }
  }
}

module.exports = { Backoff, FIRST_MS, LONGEST_MS, HEALTHY_MS };
