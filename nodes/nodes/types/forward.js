'use strict';
/**
 * hubqueue-forward: stores a message in a queue of its own, from which the hub's forwarder brings it to another hub.
 * Output 1: it is stored. Output 2, as new messages: what became of it later, and how the link to that hub is.
 */

const { HubqueueError } = require('../../lib/errors');
const { InOrder, Repeated } = require('../../lib/order');
const { pause } = require('../../lib/pause');
const { askedOf, pushFields, receipt } = require('../../lib/pushing');
const { Lamp } = require('../../lib/statuses');
const { endOf, forwarderOf, troubleOf, Uplink } = require('../../lib/uplink');
const { defined, messageToWire, toWire } = require('../../lib/values');
const { read } = require('./fields');
const { hubOf } = require('./hubs');
const { arrive, forget, part, settle } = require('./partings');
const { configured, refuse, tlsOf, wrongField } = require('./settings');
const { Waiting } = require('./waiting');

const LOOK_MS = 5000; // how often the hub is asked how the link is
const FIRST_MS = 2000; // so long the first messages wait to hear whether their queue is free
const COUNT_MS = 250; // between two counts of what is left
const REMEMBERED = 10_000; // messages whose headers and time are known when their outcome comes

module.exports = function register(RED) {
  function HubqueueForward(config) {
    RED.nodes.createNode(this, config);
    const node = this;
    const found = configured(RED, node, config);
    const wanted = found && wantedOf(RED, node, config, found);
    if (!wanted) {
      return;
    }
    const { hub, server, set, show } = found;
    const { queue, target } = wanted;
    const lamp = new Lamp(node);
    const order = new InOrder();
    const waiting = new Waiting(RED, node);
    const { limit } = set;
    const uplink = new Uplink((...asked) => hub.ask(...asked), node.id, wanted);
    const sent = new Map(); // by id: { at, headers }
    const dropped = new Set();
    let first = null; // the look that the first messages wait for
    let left = 0; // messages that have not arrived
    let wrong = null; // why the forwarder is not as it should be
    let trouble = null; // of the target, as it was told last
    let closed = false;

    const refresh = () => {
      if (hub.outbox.waiting > 0) {
        lamp.show(show.held(hub));
      } else if (!hub.up) {
        lamp.show(show.link(hub.link));
      } else if (wrong) {
        lamp.show(show.error(wrong));
      } else if (uplink.shown?.paused) {
        lamp.show(show.paused());
      } else if (uplink.shown) {
        lamp.show(trouble ? show.target(trouble.code, left) : show.waiting(left));
      }
    };

    const looks = new Repeated(async () => {
      if (!hub.up) {
        refresh();
        return;
      }
      try {
        await uplink.look(() => !closed && server.flowing);
        wrong = null;
        tell(uplink.shown);
        if (!closed) {
          await settle(server.id, hub, node);
        }
      } catch (error) {
        blame(error);
      }
      counts.run();
    });
    const look = () => looks.run();

    const blame = (error) => {
      if (!closed && error.code !== 'HQ_OFFLINE' && error.code !== 'HQ_SILENT') {
        if (error.message !== wrong?.message) {
          node.error(error);
        }
        wrong = error;
      }
    };

    /** Once for each change: down, for which reason, and up again. */
    const tell = (shown) => {
      const now = shown ? troubleOf(shown) : undefined;
      if (closed || !server.flowing || !uplink.put || now === undefined || now?.code === trouble?.code) {
        return;
      }
      trouble = now;
      const payload = defined({ state: 'link', link: now ? 'down' : 'up', reason: now ? shown.reason : undefined, message: now?.message });
      node.send([null, { topic: target, payload }]);
      if (now) {
        node.error(now, { topic: target, payload: { ...payload } });
      }
    };

    const counts = new Repeated(async () => {
      if (hub.up && !closed) {
        left = await hub.ask('GetJobCounts', { queue }).then((reply) => leftOf(reply.counts), () => left); // the next look tells why not
        refresh();
        await pause(COUNT_MS);
      }
    });

    const prepare = async (msg) => {
      const asked = askedOf(msg);
      const whole = set.store === 'message';
      const data = whole ? messageToWire(msg) : toWire(msg.payload);
      const key = await read(RED, node, msg, config.dedup, config.dedupType);
      const dedup = (key ?? '') === '' ? undefined : { key, replace: true };
      const own = { queue, ttl: set.ttl, dedup, removeOnComplete: true };
      return pushFields({ set: own, asked, data, topic: msg.topic, whole });
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
        if (!uplink.put && hub.up) {
          first ??= Promise.race([look(), pause(FIRST_MS)]);
          await first;
        }
        if (wrong?.code === 'HQ_DUPLICATE') {
          throw wrong; // it would go where the other forwarder of this queue goes
        }
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
      counts.run();
      const end = dropped.delete(event.jobId) ? 'dropped' : endOf(event);
      if (end === undefined || closed || !server.flowing) {
        return;
      }
      const { at, headers } = sent.get(event.jobId) || {};
      sent.delete(event.jobId);
      const ms = at === undefined ? undefined : Date.now() - at;
      const outcome = { topic: target, payload: defined({ id: event.jobId, state: end, error: event.error, ms }) };
      if (headers) {
        outcome.forward = { headers };
      }
      node.send([null, outcome]);
    };

    server.register(node);
    const before = arrive(node, server.id, uplink);
    if (before) {
      part(node, before.server, hubOf(before.server), before.uplink);
    }
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
            lamp.show(show.error(error));
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
      if (removed) {
        forget(node);
        await Promise.race([looks.running, pause(FIRST_MS)]); // it may be putting the forwarder just now
        await part(node, server.id, hub, uplink);
      }
      server.deregister(node);
      done();
    });
  }

  RED.nodes.registerType('hubqueue-forward', HubqueueForward, { credentials: { token: { type: 'password' } } });
};

/** The forwarder that the hub is to have, or null: the node has said what is wrong then. */
function wantedOf(RED, node, config, { set, show }) {
  try {
    return forwarderOf({ ...set, queue: set.queue || `forward-${node.id}`, token: node.credentials?.token, tls: tlsOf(RED, set.tls) });
  } catch (error) {
    const wrong = error.field ? error : wrongField(RED, 'tls', error.message, error);
    return refuse(node, show.wrong(wrong.field), wrong);
  }
}

/** Messages that have not arrived, however they wait. */
function leftOf({ waiting, prioritized, paused, delayed, active }) {
  return waiting + prioritized + paused + delayed + active;
}
