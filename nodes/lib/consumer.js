'use strict';
/**
 * Takes jobs for one worker: as many as it has room for, never more. A long-poll reserves the room it may fill; one poll
 * waits per queue. With more queues than room the polls take turns.
 */

const os = require('node:os');
const { pause } = require('./pause');

const POLL_MS = 20_000;
const TURN_MS = 250; // of a poll that keeps other queues waiting
const LEAST_MS = 200; // between two polls that gave nothing: a hub that stops answers at once
const TROUBLE_MS = 5000;
const NAMES_MS = 10_000; // how often patterns are looked up
const HEARTBEAT_MS = 15_000;

class Consumer {
  /**
   * queues: names, or patterns with `*`. deliver(job, token) is called for every job, trouble(error or null) when the hub
   * refuses to give jobs and when it gives them again. perGroup: jobs of one group at a time, 0 for any number.
   */
  constructor(hub, { worker, name, queues, concurrency, perGroup = 0, deliver, trouble }) {
    Object.assign(this, { hub, worker, name, queues, concurrency, perGroup, deliver, trouble });
    this.owner = `node-red:${os.hostname()}:${process.pid}:${worker}`;
    this.names = queues.filter((queue) => !queue.includes('*'));
    this.patterns = queues.filter((queue) => queue.includes('*')).map(patternOf);
    this.polls = new Map();
    this.first = 0;
    this.open = false;
    this.closed = false;
    this.heartbeat = setInterval(() => this.beat(), HEARTBEAT_MS);
    this.heartbeat.unref();
    this.naming = this.patterns.length ? setInterval(() => this.lookUp(), NAMES_MS) : null;
    this.onState = () => this.hub.up && this.arrive();
    this.onFreed = (freed) => freed === worker && this.pump();
    hub.on('state', this.onState);
    hub.on('freed', this.onFreed);
  }

  get running() {
    return this.hub.leases.count(this.worker);
  }

  /** Take jobs, or take no more; those that are out stay out. */
  set(open) {
    this.open = open;
    if (open) {
      this.arrive();
    } else {
      this.cancelPolls();
    }
  }

  /** Take no more jobs, ever. Resolves when no poll can bring one any more. */
  async close() {
    if (this.closed) {
      return;
    }
    this.closed = true;
    this.open = false;
    clearInterval(this.heartbeat);
    clearInterval(this.naming);
    this.hub.off('state', this.onState);
    this.hub.off('freed', this.onFreed);
    if (this.hub.consumers.get(this.worker) === this) {
      this.hub.consumers.delete(this.worker);
    }
    await this.cancelPolls();
    if (this.hub.up) {
      await this.hub.ask('UnregisterWorker', { workerId: this.owner }, 2000).catch(() => {});
    }
  }

  arrive() {
    if (this.hub.up && !this.closed && this.registered !== this.hub.link.since) {
      this.registered = this.hub.link.since;
      const facts = { name: this.name, queues: this.queues, concurrency: this.concurrency };
      this.hub.ask('RegisterWorker', { ...facts, workerId: this.owner, hostname: os.hostname(), pid: process.pid }).catch(() => {});
    }
    this.lookUp();
    this.pump();
  }

  beat() {
    if (this.hub.up) {
      this.hub.ask('Heartbeat', { id: this.owner, activeJobs: this.running }).catch(() => {});
    }
  }

  async lookUp() {
    if (!this.patterns.length || !this.hub.up) {
      return;
    }
    try {
      const { queues } = await this.hub.ask('ListQueues');
      const fixed = this.queues.filter((queue) => !queue.includes('*'));
      const found = queues.filter((queue) => !queue.startsWith('_') && this.patterns.some((pattern) => pattern.test(queue)));
      this.names = [...new Set([...fixed, ...found])];
      this.pump();
    } catch (error) {
      if (error.code !== 'HQ_OFFLINE') {
        this.trouble(error);
      }
    }
  }

  pump() {
    const idle = this.names.filter((name) => !this.polls.has(name));
    for (let turn = 0; turn < idle.length; turn += 1) {
      const free = this.free();
      if (!this.open || this.closed || !this.hub.up || free <= 0) {
        return;
      }
      const share = Math.max(1, Math.floor(free / (idle.length - turn)));
      const crowded = this.names.length > this.concurrency;
      this.poll(idle[(this.first + turn) % idle.length], share, crowded ? TURN_MS : POLL_MS);
    }
  }

  free() {
    let reserved = 0;
    for (const { count } of this.polls.values()) {
      reserved += count;
    }
    return this.concurrency - this.running - reserved;
  }

  async poll(queue, count, waitMs) {
    const group = this.perGroup > 0 ? { concurrency: this.perGroup } : undefined;
    const fields = { queue, owner: this.owner, count, timeout: waitMs, lockTtl: this.hub.leaseMs, group };
    const frame = this.hub.link.frame('PULLB', fields);
    const asked = Date.now();
    this.polls.set(queue, { count, frame });
    this.first += 1;
    let wait = 0;
    try {
      const { jobs, tokens } = await this.hub.link.send(frame);
      this.trouble(null);
      jobs.forEach((job, index) => this.take(job, tokens[index]));
      wait = jobs.length ? 0 : Math.max(0, LEAST_MS - (Date.now() - asked));
    } catch (error) {
      if (error.code !== 'HQ_OFFLINE') {
        this.trouble(error);
        wait = TROUBLE_MS;
      }
    }
    if (wait > 0 && this.open) {
      await pause(wait);
    }
    this.polls.delete(queue);
    this.pump();
  }

  take(job, token) {
    if (this.open) {
      this.deliver(job, token);
    } else {
      this.hub.settle({ id: job.id, token }, { kind: 'release' }).catch(() => {}); // it was quicker than our no
    }
  }

  cancelPolls() {
    return Promise.all([...this.polls.values()].map(({ frame }) => this.hub.link.cancel(frame)));
  }
}

/** A queue pattern as regular expression: `*` is any number of characters. */
function patternOf(text) {
  const parts = text.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`);
}

module.exports = { Consumer, patternOf };
