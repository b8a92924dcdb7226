'use strict';
/**
 * The figures of queues: how many jobs are in which state, under the names of the states. What the hub counts apart as
 * prioritized or paused is waiting. And what the change of a queue's figures tells: it is empty, has crossed a threshold.
 */

/** Of a queue of the hub's Overview. */
function figuresOf({ name, paused, oldestMs, enqueuedPerMinute, completedPerMinute, failedPerMinute, ...counts }) {
  return { queue: name, paused, ...statesOf(counts), oldestMs, enqueuedPerMinute, completedPerMinute, failedPerMinute };
}

/** Of a queue that the hub has not heard of. */
function noFigures(queue) {
  return figuresOf({ name: queue, paused: false, oldestMs: null, enqueuedPerMinute: 0, completedPerMinute: 0, failedPerMinute: 0 });
}

/** Jobs by state, of any counts of the hub; expired: how many their ttl has removed. */
function statesOf(counts) {
  const { waiting = 0, prioritized = 0, paused = 0, delayed = 0, active = 0, waitingChildren = 0, completed = 0, failed = 0, expired = 0 } = counts;
  const { 'waiting-children': children = waitingChildren } = counts;
  return { waiting: waiting + prioritized + paused, delayed, active, 'waiting-children': children, completed, failed, expired };
}

/** Jobs that have not ended and wait for no others. */
function unfinished({ waiting, delayed, active }) {
  return waiting + delayed + active;
}

/** What the change of a queue's figures tells: it has become empty, or has crossed `threshold` up or down. */
function crossings(before, now, threshold) {
  const told = [];
  if (before && unfinished(before) > 0 && unfinished(now) === 0) {
    told.push({ kind: 'empty', queue: now.queue });
  }
  const above = now.waiting >= threshold;
  if (threshold > 0 && above !== (before !== undefined && before.waiting >= threshold)) {
    told.push({ kind: 'threshold', queue: now.queue, above, waiting: now.waiting, threshold });
  }
  return told;
}

module.exports = { figuresOf, noFigures, statesOf, crossings };
