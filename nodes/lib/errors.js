'use strict';
/**
 * The error that flows see. `code` is stable (HQ_*): Catch nodes get it in msg.error.code.
 * What the hub answers keeps its code: `queue_full` becomes HQ_QUEUE_FULL.
 */

/** Codes of the hub whose name is not simply taken over. */
const RENAMED = { lock_lost: 'HQ_LEASE_LOST', lock_required: 'HQ_LEASE_LOST', payload_too_large: 'HQ_TOO_LARGE' };

/** Answers after which the same request may succeed by itself; the hub says so in `retryable`, except for these. */
const FOR_THE_FLOW = new Set(['HQ_QUEUE_FULL']);

class HubqueueError extends Error {
  constructor(code, message, { hint, cause, retryable = false } = {}) {
    super(hint ? `${message} (${hint})` : message, cause === undefined ? undefined : { cause });
    this.name = 'HubqueueError';
    this.code = code;
    this.retryable = retryable;
  }
}

/** The error that a reply of the hub tells. */
function fromReply(reply) {
  const code = RENAMED[reply.code] || `HQ_${String(reply.code || 'engine').toUpperCase()}`;
  const retryable = reply.retryable === true && !FOR_THE_FLOW.has(code);
  return new HubqueueError(code, String(reply.error || 'the hub refused'), { hint: reply.hint, retryable });
}

module.exports = { HubqueueError, fromReply };
