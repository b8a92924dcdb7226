'use strict';
/**
 * All that one config node owns: the link, the leases, the outbox, the events, the workers' consumers. The nodes only
 * use it; it outlives a node that is deployed anew. Emits `state` after every change of the link, `lost` (a lease) when
 * a job is not ours any more, `freed` (a worker's id) when there is room for another job.
 */

const { EventEmitter } = require('node:events');
const { Consumer } = require('./consumer');
const { HubqueueError } = require('./errors');
const { LeaseTable } = require('./leases');
const { Link } = require('./link');
const { pause } = require('./pause');
const { commandOf } = require('./settlement');
const { Subscriptions } = require('./subscriptions');

const LEASE_MS = 30_000;
const RENEW_MS = 10_000;
const LEAST_RENEW_MS = 300; // however short a job's lease is
const RENEW_BATCH = 1000;
const RELEASE_MS = 2000; // a node that closes waits so long for its jobs to be given back
const AGAIN_MS = 1000; // after an answer that says "later"

class Hub extends EventEmitter {
  /** outbox: what messages are sent through, one of `outboxes`. where: the address as it is written in the dialog. */
  constructor({ outbox, outboxes, where, leaseMs = LEASE_MS, renewMs = RENEW_MS, ...link }) {
    super();
    this.setMaxListeners(0); // every node of the runtime may listen
    this.leaseMs = leaseMs;
    this.link = new Link(link);
    this.leases = new LeaseTable();
    this.subscriptions = new Subscriptions(this.link);
    this.consumers = new Map();
    this.settling = new Set();
    this.identity = null; // what the hub said of itself
    this.closing = false;
    this.outbox = outbox;
    this.outboxes = outboxes;
    this.line = lineOf(this, where);
    outbox.attach(this.line);
    this.leases.on('freed', (worker) => this.emit('freed', worker));
    this.link.on('connecting', () => this.emit('state'));
    this.link.on('down', () => this.emit('state'));
    this.link.on('up', (hello) => this.onUp(hello));
    this.renewMs = renewMs;
    this.leases.on('added', (lease) => performance.now() + this.renewal(lease) < this.renewAt && this.renewSoon());
    this.renewSoon();
  }

  /** Other settings, of the same hub; what is out stays out. */
  adjust(settings) {
    this.link.adjust(settings);
    return this;
  }

  get up() {
    return this.link.up;
  }

  start() {
    this.link.start();
  }

  onUp(hello) {
    this.identity = { hubId: hello.hubId, version: hello.version, server: hello.server };
    this.renew(); // first: the hub gives jobs of a broken link away after ten seconds
    this.subscriptions.renew();
    this.outboxes.connected(this.outbox);
    this.emit('state');
  }

  /** Any command; its reply. Only the very first connection is waited for. Errors: HQ_OFFLINE, and what the hub answers. */
  async ask(cmd, fields = {}, timeoutMs = 30_000) {
    await this.link.firstTry();
    return this.link.request(cmd, fields, { timeoutMs });
  }

  /** Store a job, now or when the hub is back; an entry of the outbox, whose `stored` is the reply. Errors: HQ_BUFFER_FULL, HQ_UNENCODABLE. */
  accept(fields) {
    return this.outbox.add(this.link.frame('PUSH', fields), { queue: fields.queue, id: fields.jobId });
  }

  /** The consumer of a worker node. Its leases are those of the worker's id, also from before it was deployed anew. */
  consume(options) {
    const consumer = new Consumer(this, options);
    this.consumers.set(options.worker, consumer);
    return consumer;
  }

  /**
   * Settle a job once. Answers how: 'settled' for the first, 'repeated' for the same outcome again, 'contradicted' for
   * another one; and `refused`, the error of a result that could not be stored: the job is completed without it, for its
   * work is done and must not be done again. While the link is down it waits for it. Errors: HQ_LEASE_LOST, HQ_OFFLINE at the end, and what the hub answers.
   */
  async settle({ id, token }, outcome) {
    const lease = this.leases.find(id, token) || this.leases.add({ id, token, queue: '', worker: '', timeoutMs: 0 });
    if (lease.state === 'lost' || lease.timedOut) {
      throw leaseLost(id);
    }
    if (lease.state !== 'held') {
      await lease.settled;
      return { how: lease.outcome.kind === outcome.kind ? 'repeated' : 'contradicted' };
    }
    return this.end(lease, outcome);
  }

  async end(lease, outcome) {
    this.leases.settling(lease, outcome);
    lease.settled = this.say(lease, outcome).catch((error) => {
      throw isGone(error) ? leaseLost(lease.id, error) : error;
    });
    lease.settled.catch(() => {}); // heard below
    this.settling.add(lease.settled);
    try {
      const refused = await lease.settled;
      this.leases.end(lease, 'settled');
      return { how: 'settled', refused };
    } catch (error) {
      if (error.code === 'HQ_LEASE_LOST' || error.code === 'HQ_OFFLINE') {
        this.leases.end(lease, 'lost');
      } else {
        this.leases.hold(lease); // refused, a wait that is too long for instance: it can still be settled otherwise
      }
      throw error;
    } finally {
      this.settling.delete(lease.settled);
    }
  }

  /** Tell the hub the outcome, without its result if that is why it is refused; then answers the refusal. */
  async say(lease, outcome) {
    try {
      await this.deliver(this.link.frame(...commandOf(lease, outcome)));
      return undefined;
    } catch (error) {
      if (outcome.result === undefined || isGone(error) || error.code === 'HQ_OFFLINE') {
        throw error;
      }
      await this.deliver(this.link.frame(...commandOf(lease, { kind: outcome.kind })));
      return error;
    }
  }

  /** Send a frame until it is answered with something final. */
  async deliver(frame) {
    for (;;) {
      await this.linkUp();
      try {
        return await this.link.send(frame);
      } catch (error) {
        if (error.code !== 'HQ_OFFLINE' && !error.retryable) {
          throw error;
        }
        if (error.code !== 'HQ_OFFLINE') {
          await pause(AGAIN_MS);
        }
      }
    }
  }

  linkUp() {
    if (this.link.up) {
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const look = () => {
        if (this.link.up) {
          this.off('state', look);
          resolve();
        } else if (!this.link.wanted) {
          this.off('state', look);
          reject(this.link.offline());
        }
      };
      this.on('state', look);
      look();
    });
  }

  /** How far a job is; it also starts its timeout anew. Errors: HQ_LEASE_LOST, HQ_OFFLINE. */
  async progress({ id, token }, progress, message) {
    const lease = this.leases.find(id, token);
    if (lease !== undefined && lease.state !== 'held') {
      throw leaseLost(id);
    }
    if (lease !== undefined) {
      this.leases.touch(lease);
    }
    try {
      await this.ask('Progress', { id, token, progress, message });
    } catch (error) {
      throw isGone(error) ? leaseLost(id, error) : error;
    }
  }

  /** Give back every job of a worker whose flow is gone; nothing is counted. While the hub is away nobody waits for it. */
  async release(worker) {
    const given = Promise.allSettled(this.leases.of(worker).map((lease) => this.giveBack(lease)));
    if (this.link.up) {
      await Promise.race([given, pause(RELEASE_MS)]);
    }
  }

  giveBack(lease) {
    return lease.state === 'held' ? this.end(lease, { kind: 'release' }) : lease.settled;
  }

  /** The flow did not settle the job in time: it failed. */
  expire(lease) {
    lease.timedOut = true;
    const seconds = lease.timeoutMs / 1000;
    return this.end(lease, { kind: 'retry', error: `Node-RED: no result within ${seconds} s` }).catch(() => {});
  }

  /** The next renewal in time for the shortest lease. */
  renewSoon() {
    clearTimeout(this.renewing);
    if (!this.closing) {
      const wait = Math.min(this.renewMs, ...this.leases.all().map((lease) => this.renewal(lease)));
      this.renewAt = performance.now() + wait;
      this.renewing = setTimeout(() => this.renew().finally(() => this.renewSoon()), wait);
      this.renewing.unref();
    }
  }

  renewal({ leaseMs }) {
    return leaseMs > 0 ? Math.max(LEAST_RENEW_MS, leaseMs / 3) : this.renewMs;
  }

  async renew() {
    const leases = this.leases.all();
    for (let start = 0; start < leases.length && this.link.up; start += RENEW_BATCH) {
      const batch = leases.slice(start, start + RENEW_BATCH);
      const fields = { ids: batch.map((lease) => lease.id), tokens: batch.map((lease) => lease.token) };
      try {
        const { data } = await this.ask('JobHeartbeatB', fields);
        data.renewals.forEach((renewal, index) => this.renewed(batch[index], renewal));
      } catch {
        return; // the next round, or the new link, does it again
      }
    }
  }

  renewed(lease, renewal) {
    if (lease.state !== 'held' || renewal === 'renewed') {
      return;
    }
    if (renewal === 'cancelled') {
      this.giveBack(lease).catch(() => {}); // the hub knows that somebody wants it ended
    } else {
      this.leases.end(lease, 'lost');
    }
    this.emit('lost', lease, renewal);
  }

  /**
   * The end: no new jobs, a moment for what is being settled, everything else back to its queue. What is unanswered is
   * kept. Units: graceMs for the settlements, then as long again for the rest.
   */
  async close(graceMs = 2000) {
    this.closing = true;
    clearTimeout(this.renewing);
    const kept = this.outbox.keepAll(); // first: who stops us may not wait for the rest
    await Promise.race([Promise.allSettled([...this.consumers.values()].map((consumer) => consumer.close())), pause(graceMs)]);
    if (this.link.up) {
      await Promise.race([Promise.allSettled([...this.settling]), pause(graceMs)]);
      const rest = this.leases.all().map((lease) => this.giveBack(lease));
      await Promise.race([Promise.allSettled([...rest, this.outbox.answered()]), pause(graceMs)]);
    }
    this.link.stop();
    await kept;
    await this.outbox.detach(this.line);
    this.emit('state');
    for (const lease of this.leases.all()) {
      this.leases.end(lease, 'lost');
    }
  }
}

/** What an outbox needs to know of a hub. */
function lineOf(hub, where) {
  return {
    where,
    send: (frame) => hub.link.send(frame),
    get up() {
      return hub.link.up;
    },
    get hub() {
      return hub.identity?.hubId ?? null;
    },
    get why() {
      return hub.link.trouble?.message;
    },
  };
}

function isGone(error) {
  return error.code === 'HQ_LEASE_LOST' || error.code === 'HQ_NOT_FOUND';
}

function leaseLost(id, cause) {
  const hint = 'it took longer than its timeout, or somebody else settled it; it may run again';
  return new HubqueueError('HQ_LEASE_LOST', `job ${id} is not ours any more`, { hint, cause });
}

module.exports = { Hub, LEASE_MS };
