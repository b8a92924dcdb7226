'use strict';
/**
 * The hub of each server node, by its id. When modified nodes are deployed and a server node that is among them still
 * means the same hub, the Hub stays, with its link and all jobs that are out, and the new node takes it over here.
 */

const NOBODY_MS = 10_000; // without an owner, once all nodes are closed: flows that do not start, as a type is missing, keep no jobs for ever

const entries = new Map(); // { hub, end, timer }: the timer runs while no node owns the hub

/** The hub of a server node, also while that is deployed anew; undefined without one. */
function hubOf(id) {
  return entries.get(id)?.hub;
}

/** A node owns this hub. end(removed) closes it, as the node would. */
function own(id, hub, end) {
  entries.set(id, { hub, end, timer: null });
}

/** The node goes, its hub waits for the next one. closeMs: how long other nodes may take to close before that is made. */
function handOver(id, closeMs) {
  entries.get(id).timer = setTimeout(() => finish(id), closeMs + NOBODY_MS).unref();
}

/** The hub that the node of before has handed over, for the new one to own; undefined without one. */
function takeOver(id) {
  const { hub, timer = null } = entries.get(id) || {};
  clearTimeout(timer);
  return timer === null ? undefined : hub;
}

/** Close the hub. */
async function finish(id, removed) {
  const entry = entries.get(id);
  if (!entry) {
    return;
  }
  clearTimeout(entry.timer);
  entry.timer = null; // it is too late to take it over
  await entry.end(removed);
  if (entries.get(id) === entry) {
    entries.delete(id);
  }
}

module.exports = { hubOf, own, handOver, takeOver, finish };
