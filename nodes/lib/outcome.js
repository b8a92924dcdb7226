'use strict';
/** Which outcome a message stands for: what the result node is set to, or what the message itself says. */

const { toMs } = require('./duration');
const { HubqueueError } = require('./errors');
const { wordsOf } = require('./values');
const { options } = require('../resources/options');

const RETRYABLE = new Set([408, 425, 429]); // besides 5xx
const { max: MAX_DELAY_MS } = options.find(({ name }) => name === 'delay'); // the hub takes no longer one, and the job has to end somehow
const MAX_ERROR = 4000; // characters; the hub cuts at 4096

/** The outcome (settlement.js) of a message, without the result. rule: complete, retry, reject, release or message. */
function outcomeOf(msg, { rule, error, delayMs }) {
  const kind = rule === 'message' ? kindOf(msg) : rule;
  switch (kind) {
    case 'complete':
      return { kind };
    case 'retry':
      return { kind, error: errorText(msg, error), delayMs: delayMs ?? (rule === 'message' ? retryAfterMs(msg) : undefined) };
    case 'reject':
      return { kind, error: errorText(msg, error) };
    case 'release':
      return { kind, delayMs };
    default:
      throw new Error(`unknown outcome ${kind}`);
  }
}

/** The wait that a result node is set to. Errors: HQ_INVALID for what is none that the hub takes. */
function delayOf(value) {
  const ms = toMs(value, 'delay', { bare: 's' });
  if (ms > MAX_DELAY_MS) {
    throw new HubqueueError('HQ_INVALID', `delay is more than 365d: ${ms} ms`);
  }
  return ms;
}

/** msg.error: retry. msg.statusCode: 2xx and 3xx complete; 408, 425, 429, 5xx and no number (ECONNREFUSED): retry; else reject. */
function kindOf({ error, statusCode }) {
  if (error !== undefined && error !== null) {
    return 'retry';
  }
  if (statusCode === undefined || statusCode === null) {
    return 'complete';
  }
  const status = typeof statusCode === 'number' || typeof statusCode === 'string' ? Number(statusCode) : NaN;
  if (!Number.isInteger(status) || status >= 500 || RETRYABLE.has(status)) {
    return 'retry';
  }
  return status < 400 ? 'complete' : 'reject';
}

/** The header retry-after, in seconds or as a date; undefined without it. */
function retryAfterMs(msg, nowMs = Date.now()) {
  const value = msg.headers?.['retry-after'];
  if (value === undefined || value === '') {
    return undefined;
  }
  const seconds = Number(value);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : new Date(value).getTime() - nowMs;
  return Number.isFinite(ms) ? Math.min(Math.max(0, Math.round(ms)), MAX_DELAY_MS) : undefined;
}

/**
 * What went wrong, in words: the given text, msg.error (a text, an Error, what Catch makes of one), or the status.
 * Never throws: the job has failed, whatever its error looks like.
 */
function errorText(msg, given) {
  const found = given ?? msg.error;
  const text = found === undefined || found === null ? statusText(msg.statusCode) : wordsOfError(found);
  return (text || 'the flow failed').slice(0, MAX_ERROR).toWellFormed();
}

function wordsOfError(error) {
  try {
    const { code, message } = error;
    if (typeof message === 'string') {
      return typeof code === 'string' && code ? `${code}: ${message}` : message;
    }
    return typeof error === 'object' ? (JSON.stringify(error) ?? wordsOf(error)) : String(error);
  } catch {
    return wordsOf(error); // a circle, a BigInt in it, a getter that throws
  }
}

function statusText(status) {
  return status === undefined || status === null ? '' : typeof status === 'number' ? `HTTP ${status}` : wordsOf(status);
}

module.exports = { outcomeOf, delayOf, retryAfterMs, errorText };
