'use strict';
/** What an enqueue node sends to the hub: a field of the node wins, a blank one is taken from msg.enqueue. */

const { randomUUID } = require('node:crypto');
const { toMoment, toMs } = require('./duration');
const { HubqueueError } = require('./errors');
const { marks } = require('./jobs');
const { nearest } = require('./nearest');
const { isMap, toWire, wordsOf } = require('./values');

const REMEMBERED = 'once:'; // the hub knows such an id for an hour after its job has ended: sent again it stays one job
const MAX_KEY = 256; // characters
const SHOWN = 100; // characters of a wrong value
const OPTIONS = [
  ...['queue', 'key', 'priority', 'delay', 'maxAttempts', 'backoff', 'keepTrying', 'ttl', 'dedupe'],
  ...['id', 'runAt', 'headers', 'tags', 'dependsOn'],
];

/** msg.enqueue, checked and copied. Errors: HQ_INVALID, HQ_UNENCODABLE. */
function askedOf({ enqueue }) {
  if (enqueue === undefined) {
    return {};
  }
  const asked = enqueue === null || typeof enqueue !== 'object' || Array.isArray(enqueue) ? undefined : toWire(enqueue, 'msg.enqueue');
  if (!isMap(asked)) {
    const hint = "it holds options, such as {queue: 'mail', priority: 5}; delete it if there are none";
    throw new HubqueueError('HQ_INVALID', `msg.enqueue must be an object, not ${shown(enqueue)}`, { hint });
  }
  return known(asked, OPTIONS, 'msg.enqueue');
}

/** The object itself. Errors: HQ_INVALID for a name that means nothing, such as a misspelled one. */
function known(object, names, what) {
  const unknown = Object.keys(object).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    const meant = nearest(unknown.slice(0, SHOWN), names);
    const hint = meant ? `${meant} is meant?` : `there are ${names.join(', ')}`;
    throw new HubqueueError('HQ_INVALID', `${what} has no option ${shown(unknown)}`, { hint });
  }
  return object;
}

/** The fields of PUSH. `set`: the node's own fields, blank ones undefined; `asked`: askedOf(msg). Errors: HQ_INVALID, HQ_NO_QUEUE. */
function pushFields({ set, asked = {}, data, topic, whole, job }) {
  const pick = (name) => (set[name] === undefined ? asked[name] : set[name]);
  const queue = text(pick('queue'), 'queue');
  if (queue === undefined) {
    const hint = 'set it in the node, or in msg.enqueue.queue';
    throw new HubqueueError('HQ_NO_QUEUE', 'no queue is named', { hint });
  }
  const key = keyOf(pick('key'));
  const priority = wholeNumber(pick('priority'), 'priority');
  if (key && priority < 0) {
    throw new HubqueueError('HQ_INVALID', `priority must not be negative for a job with a key: ${priority}`);
  }
  const parent = set.parent && job ? job.id : undefined;
  return defined({
    queue,
    data,
    jobId: text(asked.id, 'msg.enqueue.id') || `${REMEMBERED}${randomUUID()}`,
    durable: true,
    ...marks({ topic: toWire(topic, 'msg.topic'), headers: headersOf(asked.headers), tags: tagsOf(asked.tags), whole }),
    groupId: key || undefined,
    priority,
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

function keyOf(value) {
  const key = text(value, 'key');
  if (key !== undefined && key.length > MAX_KEY && [...key].length > MAX_KEY) {
    throw new HubqueueError('HQ_INVALID', `key must have at most ${MAX_KEY} characters: ${shown(key)}`, { hint: 'a hash of it does as well' });
  }
  return key;
}

function text(value, what) {
  if (value === undefined || value === null || value === '') {
    return undefined;
  }
  if (typeof value === 'number' || (typeof value === 'string' && value.isWellFormed())) {
    return String(value);
  }
  throw new HubqueueError('HQ_INVALID', `${what} must be a text, not ${shown(value)}`);
}

/** Only a number or a text is read as one: Number([]) is 0. */
function wholeNumber(value, what) {
  if (value === undefined || value === null || value === '') {
    return undefined;
  }
  const number = typeof value === 'number' || (typeof value === 'string' && value.trim() !== '') ? Number(value) : NaN;
  if (!Number.isInteger(number)) {
    throw new HubqueueError('HQ_INVALID', `${what} must be a whole number: ${shown(value)}`);
  }
  return number;
}

/** A duration (exponential from there), or { type, delay, maxDelay, jitter } as the hub knows it. */
function backoffOf(value) {
  if (value === null || typeof value !== 'object') {
    return toMs(value, 'backoff');
  }
  known(value, ['type', 'delay', 'maxDelay', 'jitter'], 'backoff');
  return defined({ ...value, delay: toMs(value.delay, 'backoff.delay'), maxDelay: toMs(value.maxDelay, 'backoff.maxDelay') });
}

/** dedupe: 'none', 'waiting', 'replace', or { mode, key, ttl }. Without a key of its own it is the job's key. */
function dedupeOf(value, jobKey) {
  const rule = typeof value === 'string' ? { mode: value } : (value ?? {});
  if (!isMap(rule)) {
    throw new HubqueueError('HQ_INVALID', `dedupe must be a text or an object, not ${shown(value)}`);
  }
  known(rule, ['mode', 'key', 'ttl'], 'dedupe');
  const mode = rule.mode || (rule.key ? 'waiting' : 'none');
  if (mode === 'none') {
    return {};
  }
  if (mode !== 'waiting' && mode !== 'replace') {
    throw new HubqueueError('HQ_INVALID', `dedupe must be none, waiting or replace, not ${shown(mode)}`);
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

function headersOf(headers) {
  if (headers === undefined || headers === null || isMap(headers)) {
    return headers ?? undefined;
  }
  throw new HubqueueError('HQ_INVALID', `msg.enqueue.headers must be an object of names and values, not ${shown(headers)}`);
}

function tagsOf(tags) {
  if (tags === undefined || tags === null || (Array.isArray(tags) && tags.every((tag) => typeof tag === 'string'))) {
    return tags ?? undefined;
  }
  throw new HubqueueError('HQ_INVALID', `msg.enqueue.tags must be a list of texts, not ${shown(tags)}`);
}

function shown(value) {
  return wordsOf(typeof value === 'string' ? JSON.stringify(value) : value).slice(0, SHOWN);
}

function defined(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

module.exports = { askedOf, pushFields, receipt, defined };
