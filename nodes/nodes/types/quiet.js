'use strict';
/**
 * Experimental: a job is completed when its flow has gone quiet, seen through the runtime's hooks. Every copy of the
 * message counts from its delivery until its node has said done. It cannot see work that a node does after saying done,
 * and never ends for a node that never says it: for those there is the result node.
 */

const { errorText } = require('../../lib/outcome');

const LABEL = 'hubqueue';

let shared = null;

/** The one watcher of this runtime. Errors: where there are no hooks (the test helper). */
function quietTime(RED) {
  shared ??= new QuietTime(RED.hooks);
  return shared;
}

class QuietTime {
  constructor(hooks) {
    this.jobs = new Map(); // by lease token
    this.delivered = new WeakMap(); // messages on their way: a node that gets one directly counts it itself
    hooks.add(`preDeliver.${LABEL}`, ({ msg, destination }) => this.deliver(msg, destination.id));
    hooks.add(`onReceive.${LABEL}`, ({ msg, destination }) => this.receive(msg, destination.id));
    hooks.add(`postReceive.${LABEL}`, ({ msg, destination }) => {
      if (!destination.node._expectedDoneCount) {
        this.finish(msg); // a node of the old kind never says done
      }
    });
    hooks.add(`onComplete.${LABEL}`, ({ msg, error }) => this.finish(msg, error));
  }

  watch(msg, hub, lease) {
    this.jobs.set(lease.token, { hub, lease, copies: 0, error: null });
  }

  find(msg) {
    return msg?.job?.token === undefined ? undefined : this.jobs.get(msg.job.token);
  }

  deliver(msg, id) {
    const job = this.find(msg);
    if (job) {
      job.copies += 1;
      const known = this.delivered.get(msg) || new Set();
      this.delivered.set(msg, known.add(id));
    }
  }

  receive(msg, id) {
    const job = this.find(msg);
    if (job && !this.delivered.get(msg)?.delete(id)) {
      job.copies += 1; // link nodes and subflows hand messages on without a delivery
    }
  }

  finish(msg, error) {
    const job = this.find(msg);
    if (job) {
      job.copies -= 1;
      job.error ??= error ?? null;
      setImmediate(() => setImmediate(() => this.settle(job)));
    }
  }

  settle(job) {
    if (job.copies > 0 || !this.jobs.delete(job.lease.token)) {
      return;
    }
    const outcome = job.error ? { kind: 'retry', error: errorText({ error: job.error }) } : { kind: 'complete' };
    job.hub.settle(job.lease, outcome).catch(() => {}); // lost meanwhile: the hub gives it to somebody else
  }
}

module.exports = { quietTime };
