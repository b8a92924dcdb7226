'use strict';
/**
 * A job as a message, and what of a message is kept in a job beside its data. The hub has a name and tags for that:
 * the topic is the name, or a tag when it is too long for one; headers are tags; a tag tells a whole message.
 */

const DEFAULT_NAME = 'default';
const MAX_NAME = 256; // characters
const WHOLE = 'node-red:message';
const TOPIC = 'topic:';
const HEADER = 'header:';

/** name and tags of a job. */
function marks({ topic, headers, tags = [], whole }) {
  const named = typeof topic === 'string' && topic !== '';
  const fits = named && topic.length <= MAX_NAME;
  const all = [
    ...(whole ? [WHOLE] : []),
    ...(named && !fits ? [TOPIC + topic] : []),
    ...Object.entries(headers || {}).map(([name, value]) => `${HEADER}${name}=${value}`),
    ...tags,
  ];
  return { name: fits ? topic : DEFAULT_NAME, tags: all.length ? all : undefined };
}

/** The message that a worker sends for a job. server: the id of the config node. */
function jobMessage(job, token, { server, timeoutMs, nowMs = Date.now() }) {
  const tags = job.tags || [];
  const long = tags.find((tag) => tag.startsWith(TOPIC));
  const topic = long ? long.slice(TOPIC.length) : job.name === DEFAULT_NAME ? job.queue : job.name;
  const whole = tags.includes(WHOLE) && job.data !== null && typeof job.data === 'object';
  const msg = whole ? { ...job.data } : { payload: job.data };
  if (!whole || !('topic' in msg)) {
    msg.topic = topic;
  }
  msg.job = identity(job, tags);
  Object.assign(msg.job, { server, lease: token });
  if (timeoutMs > 0) {
    msg.job.deadline = nowMs + timeoutMs;
  }
  return msg;
}

function identity(job, tags) {
  const headers = tags.filter((tag) => tag.startsWith(HEADER)).map((tag) => splitOnce(tag.slice(HEADER.length)));
  const others = tags.filter((tag) => ![WHOLE, TOPIC, HEADER].some((mark) => tag.startsWith(mark)));
  return {
    id: job.id,
    queue: job.queue,
    attempt: job.attempts + 1,
    maxAttempts: job.maxAttempts,
    priority: job.priority,
    enqueuedAt: job.createdAt,
    redelivered: job.attempts + job.stallCount + (job.lostCount || 0) > 0,
    ...(job.groupId ? { key: job.groupId } : {}),
    ...(headers.length ? { headers: Object.fromEntries(headers) } : {}),
    ...(others.length ? { tags: others } : {}),
  };
}

function splitOnce(text) {
  const at = text.indexOf('=');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

module.exports = { marks, jobMessage };
