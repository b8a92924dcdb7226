'use strict';
/** What an enqueue node sends to the hub: a field of the node wins, a blank one is taken from msg.enqueue. */

const { randomUUID } = require('node:crypto');
const { toMoment, toMs } = require('./duration');
const { HubqueueError } = require('./errors');
const { marks } = require('./jobs');

const REMEMBERED = 'once:'; // the hub knows such an id for an hour after its job has ended: sent again it stays one job

/** The fields of PUSH. `set`: the node's own fields, blank ones undefined; `asked`: msg.enqueue. Errors: HQ_INVALID, HQ_NO_QUEUE. */
function pushFields({ set, asked = {}, data, topic, whole, job }) {
  const pick = (name) => (set[name] === undefined ? asked[name] : set[name]);
  const queue = pick('queue');
  if (typeof queue !== 'string' || queue === '') {
    const hint = 'set it in the node, or in msg.enqueue.queue';
    throw new HubqueueError('HQ_NO_QUEUE', 'no queue is named', { hint });
  }
  const key = text(pick('key'), 'key');
  const parent = set.parent && job ? job.id : undefined;
  return defined({
    queue,
    data,
    jobId: text(asked.id, 'msg.enqueue.id') || `${REMEMBERED}${randomUUID()}`,
    durable: true,
    ...marks({ topic, headers: asked.headers, tags: asked.tags, whole }),
    groupId: key || undefined,
    priority: wholeNumber(pick('priority'), 'priority'),
    delay: toMs(pick('delay'), 'delay'),
    runAt: toMoment(asked.runAt, 'msg.enqueue.runAt'),
    maxAttempts: wholeNumber(pick('maxAttempts'), 'maxAttempts'),
    backoff: backoffOf(pick('backoff')),
    ttl: toMs(pick('ttl'), 'ttl'),
    keepTrying: toMs(pick('keepTrying'), 'keepTrying'),
    ...dedupeOf(pick('dedupe'), key),
    parentId: parent,
    ...relatives(asked.dependsOn),
  });
}

/** What msg.enqueued says. The hub answers another id when a job with the same key stands for this one. */
function receipt(fields, reply, nowMs = Date.now()) {
  const runAt = fields.runAt ?? (fields.delay ? nowMs + fields.delay : undefined);
  const state = reply.id === fields.jobId ? 'stored' : 'duplicate';
  return defined({ id: reply.id, queue: fields.queue, state, runAt });
}

function text(value, what) {
  if (value === undefined || value === null || typeof value === 'string') {
    return value || undefined;
  }
  if (typeof value === 'number') {
    return String(value);
  }
  throw new HubqueueError('HQ_INVALID', `${what} must be a text`);
}

function wholeNumber(value, what) {
  if (value === undefined || value === null || value === '') {
    return undefined;
  }
  const number = Number(value);
  if (!Number.isInteger(number)) {
    throw new HubqueueError('HQ_INVALID', `${what} must be a whole number: ${value}`);
  }
  return number;
}

/** A duration (exponential from there), or { type, delay, maxDelay, jitter } as the hub knows it. */
function backoffOf(value) {
  if (value === null || typeof value !== 'object') {
    return toMs(value, 'backoff');
  }
  return defined({ ...value, delay: toMs(value.delay, 'backoff.delay'), maxDelay: toMs(value.maxDelay, 'backoff.maxDelay') });
}

/** dedupe: 'none', 'waiting', 'replace', or { mode, key, ttl }. Without a key of its own it is the job's key. */
function dedupeOf(value, jobKey) {
  const rule = typeof value === 'string' ? { mode: value } : value || {};
  const mode = rule.mode || (rule.key ? 'waiting' : 'none');
  if (mode === 'none') {
    return {};
  }
  if (mode !== 'waiting' && mode !== 'replace') {
    throw new HubqueueError('HQ_INVALID', `dedupe must be none, waiting or replace, not ${mode}`);
  }
  const uniqueKey = text(rule.key, 'dedupe.key') || jobKey;
  if (!uniqueKey) {
    throw new HubqueueError('HQ_INVALID', 'dedupe needs a key', { hint: 'set the key of the job, or dedupe.key' });
  }
  const dedup = defined({ ttl: toMs(rule.ttl, 'dedupe.ttl'), replace: mode === 'replace' ? true : undefined });
  return { uniqueKey, dedup: Object.keys(dedup).length ? dedup : undefined };
}

/** The job waits for these to complete, and its worker gets their results. */
function relatives(ids) {
  if (ids === undefined || ids === null) {
    return {};
  }
  if (!Array.isArray(ids) || !ids.every((id) => typeof id === 'string')) {
    throw new HubqueueError('HQ_INVALID', 'msg.enqueue.dependsOn must be a list of job ids');
  }
  return { dependsOn: ids, childrenIds: ids };
}

function defined(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

module.exports = { pushFields, receipt, defined };
