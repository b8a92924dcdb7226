'use strict';
/**
 * Notices a hub that hangs by what comes from it; that something could be sent says nothing of the hub. After a silence
 * it is asked for an answer, a second silence is the end. Time is counted in ticks of a timer, and a tick that is late
 * counts once: who was blocked, or asleep with its machine, reads first what has come meanwhile.
 */

const TICKS = 20; // to the shortest limit
const LONGEST_TICK_MS = 500;
const SHORTEST_TICK_MS = 5;

class Liveness {
  /**
   * Units: connectMs for the first answers, pingMs of silence before a ping, silentMs for its answer.
   * ping() asks for an answer; gone(ms) is told once, after so long a silence. sender: see Sender.
   */
  constructor({ connectMs, pingMs, silentMs, sender, ping, gone }) {
    Object.assign(this, { connectMs, pingMs, silentMs, sender, ping, gone });
    this.tickMs = Math.max(SHORTEST_TICK_MS, Math.min(LONGEST_TICK_MS, connectMs / TICKS, pingMs / TICKS, silentMs / TICKS));
    this.quiet = 0; // ticks
    this.greeted = false;
    this.pinged = null; // { end, taken } of the sender: where the ping ends, and how far it was
    this.timer = setInterval(() => this.tick(), this.tickMs);
    this.timer.unref();
  }

  /** Something has come from the hub. */
  heard() {
    this.quiet = 0;
    this.pinged = null;
  }

  /** The first answers are here: from now on it is asked. */
  opened() {
    this.greeted = true;
    this.heard();
  }

  stop() {
    clearInterval(this.timer);
  }

  tick() {
    this.quiet += 1;
    if (this.pinged !== null && this.moved()) {
      this.quiet = 0;
    }
    const silent = this.quiet * this.tickMs;
    if (!this.greeted) {
      this.judge(silent, this.connectMs);
    } else if (this.pinged !== null) {
      this.judge(silent, this.silentMs, this.pingMs);
    } else if (silent >= this.pingMs) {
      this.ping();
      this.pinged = { end: this.sender.given, taken: this.sender.taken };
      this.quiet = 0;
    }
  }

  /** Whether what is ahead of the ping still goes out, which a hub that hangs soon puts an end to. */
  moved() {
    const { end, taken } = this.pinged;
    this.pinged.taken = this.sender.taken;
    return taken < end && this.sender.taken > taken;
  }

  judge(silentMs, limitMs, beforeMs = 0) {
    if (silentMs >= limitMs) {
      this.stop();
      this.gone(limitMs + beforeMs);
    }
  }
}

module.exports = { Liveness };
