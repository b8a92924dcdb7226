'use strict';
/** hubqueue-enqueue: stores a message as a job. It is done when the hub has the job on its disk. */

const { InOrder } = require('../../lib/order');
const { askedOf, pushFields, receipt } = require('../../lib/pushing');
const { Lamp } = require('../../lib/statuses');
const { messageToWire, toWire } = require('../../lib/values');
const { read, valueOf } = require('./fields');
const { configured } = require('./settings');
const { Waiting } = require('./waiting');

module.exports = function register(RED) {
  function HubqueueEnqueue(config) {
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
    let stored = 0;
    let failed = false;
    let closed = false;

    const refresh = () => {
      if (hub.outbox.waiting > 0) {
        lamp.show(show.held(hub));
      } else if (!hub.up) {
        lamp.show(show.offline(hub.link));
      } else {
        lamp.show(failed ? show.error() : show.stored(stored));
      }
    };

    const dataOf = async (msg) => {
      if (set.store === 'message') {
        return messageToWire(msg);
      }
      if (set.store === 'jsonata') {
        const { found } = await valueOf(RED, node, msg, config.expression, 'jsonata');
        return toWire(found, 'the result of the expression');
      }
      return toWire(msg.payload);
    };

    const dedupOf = async (msg) => ({
      key: await read(RED, node, msg, config.dedup, config.dedupType),
      ttl: set.dedupTtl,
      extend: config.dedupExtend || undefined,
      replace: config.dedupReplace || undefined,
    });

    const prepare = async (msg) => {
      const asked = askedOf(msg);
      const data = await dataOf(msg);
      const own = {
        ...set,
        queue: await read(RED, node, msg, config.queue, config.queueType),
        group: await read(RED, node, msg, config.group, config.groupType),
        dedup: await dedupOf(msg),
        removeOnComplete: config.removeOnComplete || undefined, // a box that is not ticked is blank, too
        noteParent: config.noteParent === true,
      };
      return pushFields({ set: own, asked, data, topic: msg.topic, whole: set.store === 'message', job: msg.job });
    };

    const store = async (msg) => {
      const accept = async () => {
        const fields = await order.run(() => prepare(msg));
        return { fields, entry: hub.accept(fields) };
      };
      const { fields, entry, reply } = await waiting.of(msg, accept);
      return receipt(fields, reply, entry.at);
    };

    server.register(node);
    hub.on('state', refresh);
    hub.outbox.on('changed', refresh);
    refresh();

    node.on('input', (msg, send, done) => {
      store(msg).then(
        (enqueued) => {
          if (closed) {
            return; // stored all the same, but this flow is gone
          }
          stored += 1;
          failed = false;
          refresh();
          delete msg.enqueue; // it was for this job: the next enqueue node must not take its id
          msg.enqueued = enqueued;
          send(msg);
          done();
        },
        (error) => {
          if (!closed) {
            failed = true;
            refresh();
            done(error);
          }
        },
      );
    });

    node.on('close', async (removed, done) => {
      await order.rest(); // what has come is in the outbox before the hub closes
      closed = true;
      waiting.close();
      lamp.close();
      hub.off('state', refresh);
      hub.outbox.off('changed', refresh);
      server.deregister(node);
      done();
    });
  }

  RED.nodes.registerType('hubqueue-enqueue', HubqueueEnqueue);
};
