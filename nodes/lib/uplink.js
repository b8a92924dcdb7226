'use strict';
/**
 * The forwarder of a forward node on the hub. Its name holds the id of the node, so that the node knows its own again:
 * what it had for another queue retires, which the hub does by itself as soon as all of that has arrived.
 */

const { createPrivateKey } = require('node:crypto');
const { HubqueueError } = require('./errors');
const { DEFAULT_PORT } = require('./link');
const { defined } = require('./values');

const SHORT_MS = 2000; // a node that closes does not wait longer

/** By the hub's word for why a link is down: the end of the code HQ_TARGET_*. */
const TROUBLES = {
  tls: 'TLS',
  auth: 'AUTH',
  protocol: 'PROTOCOL',
  queue_full: 'FULL',
  disk_full: 'FULL',
  quota: 'BUSY',
  unreachable: 'OFFLINE',
  timeout: 'OFFLINE',
  draining: 'OFFLINE',
};

/** The fields of ForwarderPut but its name; the hub checks them. tls: options of tls.connect, null without. Errors: HQ_INVALID. */
function forwarderOf({ queue, to, target, token, rate, tls = null }) {
  return defined({ queue, to: addressOf(to, tls), target: target || queue, token: token || null, rate: rate || undefined, durable: true, ...trustOf(tls) });
}

function addressOf(to, tls) {
  const [, scheme = tls ? 'tls' : 'tcp', bare] = /^(?:(\w+):\/\/)?(.*?)\/?$/.exec(to);
  return `${scheme.toLowerCase()}://${/:\d+$/.test(bare) ? bare : `${bare}:${DEFAULT_PORT}`}`;
}

/** What is in the files, for their names mean nothing on the hub's machine. */
function trustOf(tls) {
  const { ca, cert, key, passphrase, pfx, servername, rejectUnauthorized } = tls || {};
  if (pfx) {
    throw new HubqueueError('HQ_INVALID', 'a PKCS#12 container cannot be sent to the hub', { hint: 'give certificate and key as PEM' });
  }
  return defined({
    caCert: ca ? String(ca) : null,
    clientCert: cert || key ? [cert, key && unlocked(key, passphrase)].filter(Boolean).join('\n') : null,
    serverName: servername || undefined,
    verify: rejectUnauthorized === false ? false : undefined,
  });
}

/** A key without its passphrase: the hub has to start by itself. */
function unlocked(key, passphrase) {
  if (!passphrase) {
    return String(key);
  }
  try {
    return createPrivateKey({ key, passphrase }).export({ type: 'pkcs8', format: 'pem' });
  } catch (cause) {
    throw new HubqueueError('HQ_INVALID', `the private key cannot be read: ${cause.message}`, { hint: 'is the passphrase right?', cause });
  }
}

class Uplink {
  /** ask: the hub's; id: of the node; wanted: of forwarderOf. */
  constructor(ask, id, wanted) {
    Object.assign(this, { ask, wanted, base: `node-red:${id}` });
    this.put = false;
    this.shown = null; // as the hub last showed it
  }

  /** See how it is. Puts it first, if it is not known to be as it should be and that is still wanted then. Errors: the hub's. */
  async look(isWanted) {
    let { forwarders } = await this.ask('Forwarders');
    if (isWanted() && !(this.put && this.find(forwarders))) {
      await this.settle(forwarders);
      ({ forwarders } = await this.ask('Forwarders'));
    }
    this.shown = this.find(forwarders) || null;
  }

  find(forwarders) {
    return forwarders.find((each) => this.owns(each) && each.queue === this.wanted.queue);
  }

  owns({ name }) {
    return name === this.base || name.startsWith(`${this.base}:`);
  }

  async settle(forwarders) {
    const { queue, to, target } = this.wanted;
    const own = forwarders.filter((each) => this.owns(each));
    const others = forwarders.filter((each) => !this.owns(each) && each.queue === queue);
    for (const { name } of others.filter((each) => each.retiring && each.to === to && each.target === target)) {
      await this.ask('ForwarderDelete', { name }); // of a node that is gone, and goes the same way: this one goes on with it
    }
    await this.retire(own.filter((each) => each.queue !== queue)); // first: another node may wait for that queue, and this one for its
    await this.ask('ForwarderPut', { ...this.wanted, name: this.find(own)?.name || this.freeName(own) });
    this.put = true;
  }

  freeName(own) {
    let name = this.base;
    for (let number = 2; own.some((each) => each.name === name); number += 1) {
      name = `${this.base}:${number}`;
    }
    return name;
  }

  /** The node is gone: so are its forwarders, as soon as nothing waits for them. Answers those for which something does. */
  async retireAll() {
    const { forwarders } = await this.ask('Forwarders', {}, SHORT_MS);
    await this.retire(forwarders.filter((each) => this.owns(each)));
    const { forwarders: left } = await this.ask('Forwarders', {}, SHORT_MS);
    return left.filter((each) => this.owns(each));
  }

  async retire(own) {
    for (const { name } of own.filter((each) => !each.retiring)) {
      await this.ask('ForwarderDelete', { name, whenEmpty: true }, SHORT_MS);
    }
  }
}

/** Why nothing reaches the target: HubqueueError; null while it does, undefined while that is not known. */
function troubleOf({ link, reason, error }) {
  if (link === 'up') {
    return null;
  }
  const known = link === 'down' && reason;
  return known ? new HubqueueError(`HQ_TARGET_${Object.hasOwn(TROUBLES, reason) ? TROUBLES[reason] : 'ERROR'}`, error || reason) : undefined;
}

/** What becomes of a stored message, from an event of its queue; undefined for events that are no end. */
function endOf({ eventType, terminal }) {
  switch (eventType) {
    case 'forwarded':
      return 'delivered';
    case 'failed': // the other hub will never take it (`rejected` tells so besides), or its time to be tried is over
      return terminal === false ? undefined : 'failed';
    case 'evicted':
      return 'dropped';
    case 'removed':
      return 'expired';
    default:
      return undefined;
  }
}

module.exports = { forwarderOf, Uplink, troubleOf, endOf };
