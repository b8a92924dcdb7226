'use strict';
/** The hub's events in the words of the nodes: what a job goes into is called as its state. */

const { defined } = require('./values');

/** By the hub's eventType. */
const KINDS = {
  pushed: 'enqueued',
  waiting: 'waiting',
  delayed: 'delayed',
  pulled: 'active',
  progress: 'progress',
  completed: 'completed',
  stalled: 'stalled',
  removed: 'removed',
  expired: 'expired',
  duplicated: 'duplicated',
  evicted: 'evicted',
  paused: 'paused',
  resumed: 'resumed',
  forwarded: 'forwarded',
  rejected: 'rejected',
  'forwarder:link': 'link',
  gap: 'gap',
};

/** The kind of an event; undefined for one that says nothing new. */
function kindOf({ eventType, terminal }) {
  if (eventType !== 'failed') {
    return KINDS[eventType]; // `retried` follows a failed run, which has told it
  }
  return terminal === false ? 'delayed' : 'failed'; // it is tried again, or that was the last run
}

/** The message of an event. seq counts all events that this node was told, wanted or not: a jump says that some are missing. */
function eventMessage(event, { kind, seq, server }) {
  const { queue, jobId, timestamp, error, data, progress, delay, prev, missed, name } = event;
  const msg = { topic: kind, payload: defined({ kind, queue, id: jobId || undefined, at: timestamp, seq, error, data, progress, delay, prev, missed, name }) };
  if (jobId) {
    msg.job = { id: jobId, queue, server };
  }
  return msg;
}

module.exports = { kindOf, eventMessage };
