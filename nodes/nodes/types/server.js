'use strict';
/**
 * hubqueue-server: the config node that owns one Hub for all its users. The runtime closes it without waiting for them,
 * so it waits itself. A node that is deployed anew may take the hub of the one before over (hubs.js). Its
 * outbox outlives it in any case (outboxes.js).
 */

const { hostsOf } = require('../../lib/hosts');
const { Hub } = require('../../lib/hub');
const hubs = require('./hubs');
const { outboxesOf, teller } = require('./outboxes');
const { settingsOf, tlsOf } = require('./settings');

const CLOSE_MS = 3000; // for the users to close
const CLOSE_ALL_MS = 15_000; // which Node-RED allows each node, unless its settings say otherwise
const MEGABYTE = 1024 * 1024;

module.exports = function register(RED) {
  const outboxes = outboxesOf(RED);

  function HubqueueServer(config) {
    RED.nodes.createNode(this, config);
    const node = this;
    node.users = {};
    node.flowing = false; // messages to nodes that do not exist yet would vanish
    node.stopping = null; // the deploy that is under way
    let set;
    let tlsOptions;
    try {
      set = settingsOf(RED, node, config);
      tlsOptions = tlsOf(RED, config.tls);
    } catch (error) {
      node.wrong = error; // its users say so; messages that wait keep waiting until it is put right
      hubs.finish(node.id);
      return;
    }
    const bound = Number(RED.settings.nodeMessageBufferMaxLength) || Infinity;
    const outbox = outboxes.of(node.id, teller(RED, node));
    outbox.set({
      maxEntries: Math.min(bound, set.bufferMessages),
      maxBytes: set.bufferMegabytes * MEGABYTE,
      keep: config.keep !== false,
    });
    const place = placeOf(RED, node.id);
    const options = {
      hosts: () => hostsOf(set.host),
      port: set.port,
      tlsOptions,
      token: node.credentials?.token,
      connectMs: set.connectTimeout,
      shortestWaitMs: set.shortestWait,
      longestWaitMs: set.longestWait,
      where: `${set.host || ''}:${set.port}`,
      outbox,
      outboxes,
    };
    const hub = hubs.takeOver(node.id)?.adjust(options) || new Hub(options);
    node.hub = hub;
    node.clientName = config.clientName || '';

    let told = hub.up ? 'up' : null;
    const tell = () => {
      const trouble = hub.up ? null : hub.link.trouble;
      if (hub.up && told !== 'up') {
        node.log(`connected host=${hub.link.host} port=${hub.link.port} hub=${hub.identity.hubId}`);
        told = 'up';
      } else if (trouble && !hub.closing && told !== trouble.message) {
        told = trouble.message;
        node.warn(RED._('hubqueue.errors.link', { host: hub.link.host || set.host || '', port: hub.link.port, message: trouble.message }));
      }
    };
    hub.on('state', tell);

    node.register = (user) => {
      node.users[user.id] = user;
      hub.start();
    };
    node.deregister = (user) => {
      if (node.users[user.id] === user) {
        delete node.users[user.id];
        hub.emit('left');
      }
    };

    const started = () => {
      node.flowing = true;
      node.stopping = null;
      hub.link.hurry(); // who deploys does not want to wait
      hub.emit('flowing');
    };
    const stopping = ({ type, diff }) => {
      node.flowing = false;
      node.stopping = { type, gone: new Set([...(diff?.flowChanged || []), ...(diff?.removed || [])]), changed: diff?.changed || [] };
      hub.emit('flowing');
    };
    RED.events.on('flows:started', started);
    RED.events.on('flows:stopping', stopping);

    /**
     * Whether the messages of a node that closes now vanish: always, except in a deploy of modified nodes. Of a subflow
     * (its nodes are aliases) that closes all of them.
     */
    node.flowEnds = (user) => node.stopping?.type !== 'nodes' || node.stopping.gone.has(user.z) || user._alias !== undefined;

    /** Whether the node that comes in the place of this one means the same hub. */
    const staysTheSame = () => !node.flowEnds(node) && !node.stopping.changed.includes(config.tls) && placeOf(RED, node.id) === place;

    const end = async (removed) => {
      await hub.close();
      if (removed) {
        outboxes.park(outbox);
      } else if (outbox.waiting > 0) {
        outbox.tell(outbox.keeps && !outbox.error ? 'held' : 'atRisk', { n: outbox.waiting, file: outbox.file });
      }
    };
    hubs.own(node.id, hub, end);

    node.on('close', async (removed, done) => {
      RED.events.off('flows:started', started);
      RED.events.off('flows:stopping', stopping);
      await usersLeft(node, hub);
      if (!removed && staysTheSame()) {
        hub.off('state', tell);
        hubs.handOver(node.id, RED.settings.nodeCloseTimeout || CLOSE_ALL_MS);
      } else {
        await hubs.finish(node.id, removed);
      }
      done();
    });
  }

  RED.nodes.registerType('hubqueue-server', HubqueueServer, { credentials: { token: { type: 'password' } } });
};

/** What decides which hub a server node means, as it is written in the flows: when one is deployed anew, the new one's. */
function placeOf(RED, id) {
  let found = {};
  RED.nodes.eachNode((each) => {
    found = each.id === id ? each : found;
  });
  return JSON.stringify([found.host, found.port, found.tls, RED.nodes.getCredentials(id)?.token]);
}

function usersLeft(node, hub) {
  const empty = () => Object.keys(node.users).length === 0;
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      hub.off('left', look);
      resolve();
    };
    const look = () => empty() && end();
    const timer = setTimeout(end, CLOSE_MS);
    hub.on('left', look);
    look();
  });
}
