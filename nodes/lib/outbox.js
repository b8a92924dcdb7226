'use strict';
/**
 * Messages on their way into the hub, oldest first. Each was given its id here, so that sending it again after a broken
 * link stores nothing twice; after a break all that is unanswered is sent again, in order, as the same bytes.
 * It lives in memory: `bound` keeps it small while the hub is away.
 */

const { HubqueueError } = require('./errors');

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;

class Outbox {
  /** send(frame) gives a promise of the reply; online() says whether it makes sense to call it. */
  constructor({ send, online, maxEntries, maxBytes }) {
    Object.assign(this, { send, online, maxEntries, maxBytes });
    this.entries = new Set();
    this.bytes = 0;
    this.retryMs = FIRST_RETRY_MS;
    this.timer = null;
    this.closed = false;
  }

  get size() {
    return this.entries.size;
  }

  /** Store it; the reply of the hub. Errors: HQ_BUFFER_FULL while it cannot be sent, and what the hub answers. */
  add(frame) {
    const waits = !this.online() || this.timer !== null;
    const full = this.entries.size >= this.maxEntries || this.bytes + frame.bytes.length > this.maxBytes;
    if (waits && full) {
      const hint = 'the hub cannot take messages now; enlarge the buffer, or let Catch deal with it';
      return Promise.reject(new HubqueueError('HQ_BUFFER_FULL', `${this.entries.size} messages wait already`, { hint }));
    }
    const entry = { frame, settle: null, underway: false };
    entry.stored = new Promise((resolve, reject) => {
      entry.settle = { resolve, reject };
    });
    this.entries.add(entry);
    this.bytes += frame.bytes.length;
    if (!waits) {
      this.transmit(entry);
    }
    return entry.stored;
  }

  /** The link is up (again): send everything that waits. */
  flush() {
    clearTimeout(this.timer);
    this.timer = null;
    for (const entry of this.entries) {
      if (!entry.underway) {
        this.transmit(entry);
      }
    }
  }

  /** What is left, for the next owner; nobody is told any more. */
  close() {
    this.closed = true;
    clearTimeout(this.timer);
    return [...this.entries];
  }

  /** Take over what another outbox had left. */
  adopt(entries) {
    for (const entry of entries) {
      entry.underway = false;
      this.entries.add(entry);
      this.bytes += entry.frame.bytes.length;
    }
  }

  transmit(entry) {
    entry.underway = true;
    this.send(entry.frame).then(
      (reply) => {
        this.retryMs = FIRST_RETRY_MS;
        this.remove(entry);
        entry.settle.resolve(reply);
      },
      (error) => {
        entry.underway = false;
        if (this.closed || error.code === 'HQ_OFFLINE') {
          return; // it stays, for flush or the next owner
        }
        if (error.retryable) {
          this.retryLater();
          return;
        }
        this.remove(entry);
        entry.settle.reject(error);
      },
    );
  }

  retryLater() {
    if (this.timer === null) {
      this.timer = setTimeout(() => this.flush(), this.retryMs);
      this.retryMs = Math.min(this.retryMs * 2, LONGEST_RETRY_MS);
    }
  }

  remove(entry) {
    if (this.entries.delete(entry)) {
      this.bytes -= entry.frame.bytes.length;
    }
  }
}

module.exports = { Outbox };
