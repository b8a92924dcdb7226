'use strict';
/** What an enqueue node sends to the hub: a field of the node wins, a blank one is taken from msg.enqueue. */

const { randomUUID } = require('node:crypto');
const { HubqueueError } = require('./errors');
const { marks } = require('./jobs');
const { OPTIONS, known, optionsOf, shown } = require('./options');
const { defined, isMap, toWire } = require('./values');
const { pushOptions, withParent } = require('./wirenames');

const REMEMBERED = 'once:'; // the hub knows such an id for an hour after its job has ended: sent again it stays one job

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
  return known(asked, OPTIONS, 'msg.enqueue', ['queue', 'headers']);
}

/**
 * The fields of PUSH. set: the node's own queue and options, blank ones undefined, and `noteParent`; asked: askedOf(msg).
 * Errors: HQ_INVALID, HQ_NO_QUEUE.
 */
function pushFields({ set: { queue: own, noteParent, ...options }, asked = {}, data, topic, whole, job }) {
  const queue = queueOf(own ?? asked.queue);
  const { tags, ...said } = optionsOf(asked, options);
  if (said.group && said.priority < 0) {
    throw new HubqueueError('HQ_INVALID', `priority must not be negative for a job of a group: ${said.priority}`);
  }
  return defined({
    queue,
    jobId: `${REMEMBERED}${randomUUID()}`,
    durable: true,
    parentId: noteParent ? job?.id : undefined,
    ...pushOptions(said),
    ...marks({ topic: toWire(topic, 'msg.topic'), headers: headersOf(asked.headers), tags, whole }),
    data: said.parent ? linked(data, said.parent) : data,
  });
}

/** What msg.enqueued says. The hub answers another id when a job with the same key stands for this one. */
function receipt(fields, reply, nowMs = Date.now()) {
  const runAt = fields.runAt ?? (fields.delay ? nowMs + fields.delay : undefined);
  return defined({ id: reply.id, queue: fields.queue, duplicate: reply.id !== fields.jobId, runAt });
}

function queueOf(value) {
  if (value === undefined || value === null || value === '') {
    throw new HubqueueError('HQ_NO_QUEUE', 'no queue is named', { hint: 'set it in the node, or in msg.enqueue.queue' });
  }
  if (typeof value !== 'string' && typeof value !== 'number') {
    throw new HubqueueError('HQ_INVALID', `queue must be a text, not ${shown(value)}`);
  }
  return String(value);
}

function linked(data, parent) {
  const made = withParent(data, parent);
  if (made === undefined) {
    const hint = 'the hub keeps there which job it is';
    throw new HubqueueError('HQ_INVALID', 'a job with a parent needs data that is an object without names that begin with __', { hint });
  }
  return made;
}

function headersOf(headers) {
  if (headers === undefined || headers === null || isMap(headers)) {
    return headers ?? undefined;
  }
  throw new HubqueueError('HQ_INVALID', `msg.enqueue.headers must be an object of names and values, not ${shown(headers)}`);
}

module.exports = { askedOf, pushFields, receipt };
