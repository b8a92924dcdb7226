'use strict';
/** The forwarder of a forward node on the hub: one for its queue, put again only when it is not as it should be. */

const { DEFAULT_PORT } = require('./link');
const { defined } = require('./pushing');

const PREFIX = 'node-red:';

/** The fields of ForwarderPut; the hub checks them. */
function forwarderOf({ queue, to, target, token, rate }) {
  return defined({ name: PREFIX + queue, queue, to: withPort(to), target: target || queue, token: token || null, rate: rate || undefined, durable: true });
}

function withPort(to) {
  const address = /:\/\//.test(to) ? to : `tcp://${to}`;
  const bare = address.replace(/\/$/, '');
  return /:\d+$/.test(bare) ? bare : `${bare}:${DEFAULT_PORT}`;
}

/** Whether the hub's forwarder is the one that is wanted; its token cannot be seen. */
function isLike(listed, wanted) {
  return listed.queue === wanted.queue && listed.to === wanted.to && listed.target === wanted.target && (listed.rate ?? undefined) === wanted.rate;
}

/** What becomes of a stored message, from an event of its queue; undefined for events that are no end. */
function endOf({ eventType, terminal }) {
  switch (eventType) {
    case 'forwarded':
      return 'delivered';
    case 'failed': // the other hub will never take it (`rejected` tells so besides), or its time to be tried is over
      return terminal === true ? 'dead' : undefined;
    case 'evicted':
      return 'dropped';
    case 'removed':
      return 'expired';
    default:
      return undefined;
  }
}

module.exports = { forwarderOf, isLike, endOf };
