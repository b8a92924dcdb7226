'use strict';
/**
 * hubqueue-forward: stores a message in a queue of its own, from which the hub's forwarder brings it to another hub.
 * Output 1: it is stored. Output 2, later and as a new message: what became of it.
 */

const { HubqueueError } = require('../../lib/errors');
const { askedOf, pushFields, receipt, defined } = require('../../lib/pushing');
const { Lamp } = require('../../lib/statuses');
const { endOf, forwarderOf, isLike } = require('../../lib/uplink');
const { messageToWire, toWire } = require('../../lib/values');
const { read, InOrder } = require('./fields');
const { configured } = require('./settings');
const { Waiting } = require('./waiting');

const LOOK_MS = 5000; // how often the hub is asked how the link is
const REMEMBERED = 10_000; // messages whose headers and time are known when their outcome comes

module.exports = function register(RED) {
  function HubqueueForward(config) {
    RED.nodes.createNode(this, config);
    const node = this;
    const found = configured(RED, node, config);
    if (!found) {
      return;
    }
    const { hub, server, set, show } = found;
    const lamp = new Lamp(node);
    const order = new InOrder();
    const waiting = new Waiting(RED, node);
    const { limit } = set;
    const queue = set.queue || `forward-${node.id}`;
    const wanted = forwarderOf({ queue, to: set.to, target: set.target, token: node.credentials?.token, rate: set.rate });
    const sent = new Map(); // by id: { at, headers }
    const dropped = new Set();
    let seen = null; // the forwarder as the hub last showed it
    let ready = false; // the forwarder was put, or found as it should be
    let closed = false;

    const refresh = () => {
      if (hub.outbox.waiting > 0) {
        lamp.show(show.held(hub));
      } else if (!hub.up) {
        lamp.show(show.link(hub.link));
      } else if (seen) {
        lamp.show(seen.link === 'down' ? show.targetOffline(seen.waiting) : show.waiting(seen.waiting));
      }
    };

    const look = async () => {
      if (!hub.up) {
        return refresh();
      }
      try {
        const { forwarders } = await hub.ask('Forwarders');
        seen = forwarders.find(({ name }) => name === wanted.name) || null;
        if (!closed && (!ready || seen === null) && server.flowing) {
          await put();
        }
        refresh();
      } catch (error) {
        if (error.code !== 'HQ_OFFLINE') {
          lamp.show(show.error());
          node.error(error);
        }
      }
      return undefined;
    };

    const put = async () => {
      if (seen === null || !isLike(seen, wanted) || wanted.token) {
        await hub.ask('ForwarderPut', wanted);
      }
      ready = true;
    };

    const prepare = async (msg) => {
      const asked = askedOf(msg);
      const whole = set.store === 'message';
      const data = whole ? messageToWire(msg) : toWire(msg.payload);
      const key = await read(RED, node, msg, config.key, config.keyType);
      const dedupe = key ? { mode: 'replace', key } : undefined;
      const fields = pushFields({ set: { queue, ttl: set.ttl, dedupe }, asked, data, topic: msg.topic, whole });
      return { ...fields, removeOnComplete: true };
    };

    const makeRoom = async () => {
      if (!limit || !hub.up) {
        return;
      }
      const { counts } = await hub.ask('GetJobCounts', { queue });
      const over = counts.waiting + counts.prioritized + counts.delayed + 1 - limit;
      if (over <= 0) {
        return;
      }
      if (set.whenFull !== 'drop') {
        throw new HubqueueError('HQ_QUEUE_FULL', `${limit} messages wait to be forwarded already`);
      }
      const { jobs } = await hub.ask('GetJobs', { queue, state: ['waiting', 'prioritized', 'delayed'], limit: over });
      for (const { id } of jobs) {
        dropped.add(id);
        await hub.ask('Cancel', { id }).catch(() => dropped.delete(id)); // it has just left by itself
      }
    };

    const store = async (msg) => {
      const { fields, reply } = await waiting.of(msg, () => order.run(async () => {
        const made = await prepare(msg);
        await makeRoom();
        remember(made.jobId, { at: Date.now(), headers: msg.enqueue?.headers });
        return { fields: made, entry: hub.accept(made) };
      }));
      return receipt(fields, reply);
    };

    const remember = (id, facts) => {
      sent.set(id, facts);
      if (sent.size > REMEMBERED) {
        sent.delete(sent.keys().next().value);
      }
    };

    const hear = (event) => {
      if (event.eventType === 'forwarder:link') {
        look();
        return;
      }
      const end = dropped.delete(event.jobId) ? 'dropped' : endOf(event);
      if (end === undefined || closed || !server.flowing) {
        return;
      }
      const { at, headers } = sent.get(event.jobId) || {};
      sent.delete(event.jobId);
      const ms = at === undefined ? undefined : Date.now() - at;
      const outcome = { topic: wanted.target, payload: defined({ id: event.jobId, state: end, error: event.error, ms }) };
      if (headers) {
        outcome.forward = { headers };
      }
      node.send([null, outcome]);
    };

    server.register(node);
    const unsubscribe = hub.subscriptions.add(queue, hear, (error) => node.error(error));
    const timer = setInterval(look, LOOK_MS);
    timer.unref();
    hub.on('state', look);
    hub.on('flowing', look);
    hub.outbox.on('changed', refresh);
    look();

    node.on('input', (msg, send, done) => {
      store(msg).then(
        (enqueued) => {
          if (!closed) {
            delete msg.enqueue;
            msg.enqueued = enqueued;
            send([msg, null]);
            done();
          }
        },
        (error) => {
          if (!closed) {
            lamp.show(show.error());
            done(error);
          }
        },
      );
    });

    node.on('close', async (removed, done) => {
      await order.rest(); // what has come is in the outbox before the hub closes
      closed = true;
      waiting.close();
      clearInterval(timer);
      unsubscribe();
      hub.off('state', look);
      hub.off('flowing', look);
      hub.outbox.off('changed', refresh);
      lamp.close();
      if (removed && hub.up) {
        await retire(hub, wanted, node);
      }
      server.deregister(node);
      done();
    });
  }

  RED.nodes.registerType('hubqueue-forward', HubqueueForward, { credentials: { token: { type: 'password' } } });
};

/** The node is gone: so is its forwarder, unless messages still wait for it. */
async function retire(hub, { name, queue }, node) {
  try {
    const { forwarders } = await hub.ask('Forwarders', {}, 2000);
    const left = forwarders.find((each) => each.name === name);
    if (left && left.waiting + left.delayed + left.inFlight === 0) {
      await hub.ask('ForwarderDelete', { name }, 2000);
    } else if (left) {
      node.log(`the forwarder stays until it is deleted on the hub, ${left.waiting} messages wait queue=${queue}`);
    }
  } catch (error) {
    node.log(`the forwarder of ${queue} was left on the hub: ${error.message}`);
  }
}
