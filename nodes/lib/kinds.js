'use strict';
/** The hub's events in the words of the nodes, and what the levels of queues tell besides: empty, threshold. */

const { defined } = require('./pushing');

/** By the hub's eventType; `failed` is told apart by whether it was the last attempt. */
const KINDS = {
  pushed: 'stored',
  pulled: 'started',
  progress: 'progress',
  completed: 'completed',
  stalled: 'stalled',
  removed: 'removed',
  expired: 'expired',
  duplicated: 'duplicate',
  evicted: 'evicted',
  paused: 'paused',
  resumed: 'resumed',
  forwarded: 'forwarded',
  rejected: 'rejected',
  'forwarder:link': 'link',
  gap: 'gap',
};

const ALL_KINDS = [...new Set(Object.values(KINDS)), 'retry', 'dead', 'empty', 'threshold'];

/** The kind of an event; undefined for those that say nothing new to a flow (retried, waiting, delayed). */
function kindOf({ eventType, terminal }) {
  return eventType === 'failed' ? (terminal === true ? 'dead' : 'retry') : KINDS[eventType];
}

/** The message of an event. seq counts all events that this node was told, wanted or not: a jump says that some are missing. */
function eventMessage(event, { kind, seq, server }) {
  const { queue, jobId, timestamp, error, data, progress, prev, missed, name } = event;
  const msg = { topic: kind, payload: defined({ kind, queue, id: jobId || undefined, at: timestamp, seq, error, data, progress, prev, missed, name }) };
  if (jobId) {
    msg.job = { id: jobId, queue, server };
  }
  return msg;
}

/** The figures of a queue, from the hub's overview. */
function levelsOf(entry) {
  return {
    queue: entry.name,
    paused: entry.paused,
    ready: entry.waiting + entry.prioritized,
    scheduled: entry.delayed,
    active: entry.active,
    blocked: entry.waitingChildren,
    dead: entry.failed,
    completed: entry.completed,
    oldestMs: entry.oldestMs,
    perMin: entry.completedPerMinute,
  };
}

/** What the change of a queue's figures tells: it has become empty, or has crossed `threshold` up or down. */
function crossings(before, now, threshold) {
  const left = ({ ready, scheduled, active }) => ready + scheduled + active;
  const told = [];
  if (before && left(before) > 0 && left(now) === 0) {
    told.push({ kind: 'empty', queue: now.queue });
  }
  const above = now.ready >= threshold;
  if (threshold > 0 && above !== (before !== undefined && before.ready >= threshold)) {
    told.push({ kind: 'threshold', queue: now.queue, above, ready: now.ready, threshold });
  }
  return told;
}

module.exports = { ALL_KINDS, kindOf, eventMessage, levelsOf, crossings };
