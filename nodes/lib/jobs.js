'use strict';
/**
 * A job as a message, and what of a message is kept in a job beside its data. The hub has a name and tags for that: the
 * topic is the name, headers are tags, a tag tells a whole message. What does not fit so (a long topic, a header that is
 * no short text, a tag that looks like one of ours) is kept exactly, in pieces, in further tags.
 */

const { HubqueueError } = require('./errors');
const { encodeBody, decodeBody } = require('./frames');
const { defined, isMap } = require('./values');
const { jobOf } = require('./wirenames');

const DEFAULT_NAME = 'default';
const MAX_NAME = 256; // characters, of a name and of a tag
const MAX_TAGS = 100;
const WHOLE = 'node-red:message';
const KEPT = 'node-red:kept:';
const HEADER = 'header:';
const PIECE = /.{1,240}/gs; // with its prefix below MAX_NAME

/** Properties of a stored message that told how an earlier attempt had ended. */
const OUTCOME = ['error', 'statusCode'];
const RETRY_AFTER = 'retry-after';

/** name and tags of a job, from values that toWire gave. Errors: HQ_INVALID when it is too much. */
function marks({ topic, headers = {}, tags = [], whole }) {
  const named = topic !== undefined && topic !== null && topic !== '';
  const isName = named && typeof topic === 'string' && topic.length <= MAX_NAME && topic !== DEFAULT_NAME;
  const written = Object.entries(headers).map(([name, value]) => ({ name, value, tag: tagOf(name, value) }));
  const kept = {
    ...(named && !isName && !whole ? { topic } : {}), // a whole message has it in its data
    ...section('headers', written.filter(({ tag }) => tag === undefined).map(({ name, value }) => [name, value]), Object.fromEntries),
    ...section('tags', tags.filter((tag) => !isPlainTag(tag))),
  };
  const all = [
    ...(whole ? [WHOLE] : []),
    ...written.map(({ tag }) => tag).filter(Boolean),
    ...tags.filter(isPlainTag),
    ...pieces(kept),
  ];
  if (all.length > MAX_TAGS) {
    const hint = `they become tags of the job, at most ${MAX_TAGS} of ${MAX_NAME} characters; put what is long into the payload`;
    throw new HubqueueError('HQ_INVALID', 'the topic, msg.enqueue.headers and msg.enqueue.tags are too much', { hint });
  }
  return { name: isName ? topic : DEFAULT_NAME, tags: all.length ? all : undefined };
}

function section(name, entries, made = (list) => list) {
  return entries.length ? { [name]: made(entries) } : {};
}

/** A header as a tag that anybody can read; undefined when it would not come back the same. */
function tagOf(name, value) {
  const tag = `${HEADER}${name}=${value}`;
  return typeof value === 'string' && !name.includes('=') && tag.length <= MAX_NAME ? tag : undefined;
}

function isPlainTag(tag) {
  return tag.length <= MAX_NAME && ![WHOLE, KEPT, HEADER].some((mark) => tag.startsWith(mark));
}

function pieces(kept) {
  if (Object.keys(kept).length === 0) {
    return [];
  }
  const text = Buffer.from(encodeBody(kept)).toString('base64');
  return text.match(PIECE).map((piece) => KEPT + piece);
}

/** What `pieces` were made of; nothing when they are not ours. */
function joined(tags) {
  if (tags.length === 0) {
    return {};
  }
  let found = null;
  try {
    found = decodeBody(Buffer.from(tags.map((tag) => tag.slice(KEPT.length)).join(''), 'base64'));
  } catch {
    // somebody else's tags
  }
  return isMap(found) && isMap(found.headers ?? {}) && Array.isArray(found.tags ?? []) ? found : {};
}

/** The message that a worker sends for a job of the hub. server: the id of the config node. */
function jobMessage(found, token, { server, timeoutMs, nowMs = Date.now() }) {
  const job = jobOf(found);
  const tags = job.tags || [];
  const kept = joined(tags.filter((tag) => tag.startsWith(KEPT)));
  const topic = kept.topic ?? (job.name === DEFAULT_NAME ? job.queue : job.name);
  const whole = tags.includes(WHOLE) && job.data !== null && typeof job.data === 'object';
  const { msg, earlier } = whole ? anew(job.data) : { msg: { payload: job.data } };
  if (!whole || !('topic' in msg)) {
    msg.topic = topic;
  }
  msg.job = identity(job, tags, kept);
  Object.assign(msg.job, { server, token }, earlier && { earlier });
  const limits = [timeoutMs, job.timeout].filter((limit) => limit > 0);
  if (limits.length > 0) {
    msg.job.deadline = nowMs + Math.min(...limits);
  }
  return msg;
}

/** A stored message for a new attempt: how an earlier one ended must not decide how this one ends, so it goes aside. */
function anew(stored) {
  const msg = { ...stored };
  const earlier = {};
  for (const name of OUTCOME.filter((each) => each in msg)) {
    earlier[name] = msg[name];
    delete msg[name];
  }
  const { headers } = msg;
  if (headers !== null && typeof headers === 'object' && RETRY_AFTER in headers) {
    const { [RETRY_AFTER]: retryAfter, ...others } = headers;
    Object.assign(earlier, { retryAfter });
    msg.headers = others;
  }
  return { msg, earlier: Object.keys(earlier).length ? earlier : undefined };
}

function identity(job, tags, kept) {
  const plain = tags.filter((tag) => tag.startsWith(HEADER)).map((tag) => splitOnce(tag.slice(HEADER.length)));
  const headers = { ...Object.fromEntries(plain), ...kept.headers };
  const others = [...tags.filter((tag) => ![WHOLE, KEPT, HEADER].some((mark) => tag.startsWith(mark))), ...(kept.tags || [])];
  const { id, queue, attempts, attemptsMade, priority, createdAt, group, parent } = job;
  return defined({
    ...{ id, queue, attempts, attemptsMade, priority, createdAt, group, parent },
    redelivered: attemptsMade + job.stallCount + (job.lostCount || 0) > 0,
    headers: Object.keys(headers).length ? headers : undefined,
    tags: others.length ? others : undefined,
  });
}

function splitOnce(text) {
  const at = text.indexOf('=');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

module.exports = { marks, jobMessage };
