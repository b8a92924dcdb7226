'use strict';
/** hubqueue-control: asks about queues and jobs, and steers them. The answer is in msg.payload. */

const { act } = require('../../lib/actions');
const { InOrder } = require('../../lib/order');
const { askedOf } = require('../../lib/pushing');
const { Lamp } = require('../../lib/statuses');
const { isMap, toWire } = require('../../lib/values');
const { read } = require('./fields');
const { configured } = require('./settings');

module.exports = function register(RED) {
  function HubqueueControl(config) {
    RED.nodes.createNode(this, config);
    const node = this;
    const found = configured(RED, node, config);
    if (!found) {
      return;
    }
    const { hub, server, set, show } = found;
    const lamp = new Lamp(node);
    const order = new InOrder(); // "purge, then list" has to stay in this order
    const ask = (cmd, fields) => hub.ask(cmd, fields);
    const refresh = () => lamp.show(hub.up ? {} : show.link(hub.link));

    const run = async (msg) => {
      const action = set.action ?? msg.action;
      const queue = (await read(RED, node, msg, config.queue, config.queueType)) ?? askedOf(msg).queue;
      const given = toWire(msg.payload);
      const args = { ...(isMap(given) ? given : {}), ...(queue === undefined ? {} : { queue }) };
      if (typeof msg.payload === 'string' && args.id === undefined) {
        args.id = msg.payload; // "get", "cancel", "retry": a bare id is enough
      }
      if (workerActions[action]) {
        return workerActions[action](RED, args);
      }
      return act(ask, action, args, { confirmed: config.confirm === true });
    };

    server.register(node);
    hub.on('state', refresh);
    refresh();

    node.on('input', (msg, send, done) => {
      const action = set.action ?? msg.action;
      order.run(() => run(msg)).then(
        (payload) => {
          lamp.show(show.done(String(action)));
          msg.payload = payload;
          send(msg);
          done();
        },
        (error) => {
          lamp.show(show.error(error));
          done(error);
        },
      );
    });

    node.on('close', (removed, done) => {
      lamp.close();
      hub.off('state', refresh);
      server.deregister(node);
      done();
    });
  }

  RED.nodes.registerType('hubqueue-control', HubqueueControl);
};

/** Worker nodes of this Node-RED, by name or id; the queue itself is not touched. */
const workerActions = {
  pauseWorker: (RED, args) => pauseWorkers(RED, args.worker ?? args.id, true),
  resumeWorker: (RED, args) => pauseWorkers(RED, args.worker ?? args.id, false),
};

function pauseWorkers(RED, wanted, paused) {
  const found = [];
  RED.nodes.eachNode(({ id, type, name }) => {
    if (type === 'hubqueue-worker' && (id === wanted || name === wanted)) {
      found.push(id);
    }
  });
  const workers = found.map((id) => RED.nodes.getNode(id)).filter((node) => node?.pause);
  workers.forEach((node) => node.pause(paused));
  return { worker: wanted, paused, count: workers.length };
}
