'use strict';
/**
 * hubqueue-server: the config node that owns one Hub for all its users. The runtime closes it without waiting for them,
 * so it waits itself. `users` is read by the runtime: errors of this node reach the Catch nodes of its users.
 */

const { hostsOf } = require('../../lib/hosts');
const { Hub } = require('../../lib/hub');
const { settingsOf } = require('./settings');

const CLOSE_MS = 3000; // for the users to close; Node-RED allows 15 s for all
const MEGABYTE = 1024 * 1024;

const unsent = new Map(); // by config node: messages that wait for the hub while the flows are deployed anew

module.exports = function register(RED) {
  function HubqueueServer(config) {
    RED.nodes.createNode(this, config);
    const node = this;
    node.users = {};
    node.flowing = false; // messages to nodes that do not exist yet would vanish
    node.stopping = null; // the deploy that is under way
    let set;
    try {
      set = settingsOf(RED, node, config);
    } catch (error) {
      node.wrong = error; // its users say so; messages that wait keep waiting until it is put right
      return;
    }
    const bound = Number(RED.settings.nodeMessageBufferMaxLength) || Infinity;
    const hub = new Hub({
      hosts: () => hostsOf(set.host),
      port: set.port,
      tlsOptions: tlsOptions(RED, config.tls),
      token: node.credentials?.token,
      connectMs: set.connectTimeout,
      maxMessages: Math.min(bound, set.bufferMessages),
      maxBytes: set.bufferMegabytes * MEGABYTE,
    });
    node.hub = hub;
    node.clientName = config.clientName || '';
    hub.outbox.adopt(unsent.get(node.id) || []);
    unsent.delete(node.id);

    let told = null;
    hub.on('state', () => {
      const trouble = hub.up ? null : hub.link.trouble;
      if (hub.up && told !== 'up') {
        node.log(`connected host=${hub.link.host} port=${hub.link.port} hub=${hub.identity.hubId}`);
        told = 'up';
      } else if (trouble && !hub.closing && told !== trouble.message) {
        told = trouble.message;
        node.warn(RED._('hubqueue.errors.link', { host: hub.link.host || set.host || '', port: hub.link.port, message: trouble.message }));
      }
    });

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
      hub.emit('flowing');
    };
    const stopping = ({ type, diff }) => {
      node.flowing = false;
      node.stopping = { type, gone: new Set([...(diff?.flowChanged || []), ...(diff?.removed || [])]) };
      hub.emit('flowing');
    };
    RED.events.on('flows:started', started);
    RED.events.on('flows:stopping', stopping);

    /** Whether the messages of a node that closes now vanish: always, except in a deploy of modified nodes. */
    node.flowEnds = (user) => node.stopping === null || node.stopping.type !== 'nodes' || node.stopping.gone.has(user.z);

    node.on('close', async (removed, done) => {
      RED.events.off('flows:started', started);
      RED.events.off('flows:stopping', stopping);
      await usersLeft(node, hub);
      const left = await hub.close();
      if (left.length && removed) {
        node.warn(RED._('hubqueue.errors.dropped', { n: left.length }));
      } else if (left.length) {
        node.log(`messages wait for the hub; a restart of Node-RED would lose them count=${left.length}`);
        unsent.set(node.id, left);
      }
      done();
    });
  }

  RED.nodes.registerType('hubqueue-server', HubqueueServer, { credentials: { token: { type: 'password' } } });
};

/** The options of tls.connect from a core tls-config node; null for plain TCP. */
function tlsOptions(RED, id) {
  const tlsNode = id && RED.nodes.getNode(id);
  return tlsNode ? tlsNode.addTLSOptions({}) : null;
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

module.exports.tlsOptions = tlsOptions;
