'use strict';
/**
 * The jobs this runtime holds, and for a while those it has settled. It belongs to the config node, so that it outlives
 * a worker node that is deployed anew. No I/O; emits `freed` (the worker's id) when a worker may take another job, `added` (the lease).
 *
 * States of a lease: held -> settling -> settled; held or settling -> lost; settling -> held when it was refused.
 */

const { EventEmitter } = require('node:events');

const REMEMBERED = 5000; // settled or lost leases that are still recognized

class LeaseTable extends EventEmitter {
  constructor() {
    super();
    this.live = new Map();
    this.past = new Map();
  }

  get size() {
    return this.live.size;
  }

  /**
   * Take a job into the table. expire(lease) is called once after timeoutMs, if it is above 0. leaseMs: how long the job
   * itself says that its lease is.
   */
  add({ id, token, queue, worker, timeoutMs, leaseMs, expire }) {
    const lease = { id, token, queue, worker, timeoutMs, leaseMs, expire, state: 'held', outcome: null, timer: null };
    this.live.set(keyOf(id, token), lease);
    this.touch(lease);
    this.emit('added', lease);
    return lease;
  }

  /** The lease, live or past; undefined when this runtime has never held it, or forgotten it. */
  find(id, token) {
    const key = keyOf(id, token);
    return this.live.get(key) || this.past.get(key);
  }

  /** The job timeout counts from now. */
  touch(lease) {
    clearTimeout(lease.timer);
    if (lease.timeoutMs > 0) {
      lease.timer = setTimeout(() => lease.state === 'held' && lease.expire(lease), lease.timeoutMs);
    }
  }

  settling(lease, outcome) {
    clearTimeout(lease.timer);
    lease.state = 'settling';
    lease.outcome = outcome;
  }

  /** It could not be settled like that, and is held again. */
  hold(lease) {
    lease.state = 'held';
    lease.outcome = null;
    this.touch(lease);
  }

  /** It is over: `state` is settled or lost. Its place is free again. */
  end(lease, state) {
    clearTimeout(lease.timer);
    if (!this.live.delete(keyOf(lease.id, lease.token))) {
      return;
    }
    lease.state = state;
    this.past.set(keyOf(lease.id, lease.token), lease);
    if (this.past.size > REMEMBERED) {
      this.past.delete(this.past.keys().next().value);
    }
    this.emit('freed', lease.worker);
  }

  /** How many jobs a worker has. */
  count(worker) {
    let found = 0;
    for (const lease of this.live.values()) {
      found += lease.worker === worker ? 1 : 0;
    }
    return found;
  }

  all() {
    return [...this.live.values()];
  }

  of(worker) {
    return this.all().filter((lease) => lease.worker === worker);
  }
}

function keyOf(id, token) {
  return `${token}\n${id}`;
}

module.exports = { LeaseTable };
