'use strict';
/** Async steps that must not overtake each other. */

const { pause } = require('./pause');

const REST_MS = 1000;

/** Runs async steps of one node one after another, so that messages keep their order. */
class InOrder {
  constructor() {
    this.last = Promise.resolve();
  }

  run(step) {
    const turn = this.last.then(step);
    this.last = turn.catch(() => {});
    return turn;
  }

  /** Resolves when all steps are done, or after a second: one may hang. */
  rest() {
    return Promise.race([this.last, pause(REST_MS)]);
  }
}

/** An async step, one run at a time: however often it is asked for during a run, one more follows. It must not fail. */
class Repeated {
  constructor(step) {
    Object.assign(this, { step, wanted: false, running: null });
  }

  /** Answers when all that is wanted has been done. */
  run() {
    this.wanted = true;
    this.running ??= this.rounds();
    return this.running;
  }

  async rounds() {
    while (this.wanted) {
      this.wanted = false;
      await this.step();
    }
    this.running = null;
  }
}

module.exports = { InOrder, Repeated };
