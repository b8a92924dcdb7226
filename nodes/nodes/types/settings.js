'use strict';
/**
 * What a node is set to, by the rules of its dialog (resources/fields.js), and the hub it uses. A node that cannot work
 * is there all the same: its status and its error name the field, and every message it gets fails with that error.
 */

const { HubqueueError } = require('../../lib/errors');
const { statuses } = require('../../lib/statuses');
const { FIELDS, isBlank, meaning, variableOf } = require('../../resources/fields');

const NO_NODE = '_ADD_'; // what the dialogs have while none is chosen

/** The values of the fields that have rules, by name, after Node-RED has filled in the environment. Errors: HQ_INVALID. */
function settingsOf(RED, node, config, type = node.type) {
  const parse = {
    jsonata: (source) => RED.util.prepareJSONataExpression(source, node),
    property: (path) => RED.util.normalisePropertyExpression(path),
  };
  const others = (name) => (config[name] === 'env' ? 'str' : config[name]); // an environment variable is a text by now
  const found = {};
  for (const [name, field] of Object.entries(FIELDS[type])) {
    const value = config[field.type] === 'env' ? RED.util.evaluateNodeProperty(config[name] || '', 'env', node, {}) : config[name];
    try {
      found[name] = meaning(field, value, { others, parse });
    } catch (refusal) {
      const said = isBlank(value) || refusal.key === 'variable' ? '' : `: ${written(value)}`;
      throw wrongField(RED, field.label, `${RED._(`hubqueue.errors.${refusal.key}`, refusal.values)}${said}`, refusal);
    }
  }
  return found;
}

/** The error of a node one of whose fields is wrong; `field` is its label. */
function wrongField(RED, label, message, cause) {
  const field = RED._(`hubqueue.label.${label}`);
  return Object.assign(new HubqueueError('HQ_INVALID', `${field}: ${message}`, { cause }), { field });
}

/**
 * The options of tls.connect that a TLS configuration stands for; null for plain TCP. Errors: HQ_INVALID when the chosen
 * one is not there: a token must not go out unencrypted for that.
 */
function tlsOf(RED, id) {
  if (!id || id === NO_NODE) {
    return null;
  }
  const tls = RED.nodes.getNode(id);
  if (!tls?.valid) {
    throw wrongField(RED, 'tls', RED._('hubqueue.errors.noTls'));
  }
  return tls.addTLSOptions({});
}

/** { hub, server, set, show } of a node that uses a hub, or null: it has said what is wrong then. */
function configured(RED, node, config) {
  const show = statuses(RED._);
  const server = RED.nodes.getNode(config.server);
  if (!server) {
    return refuse(node, show.unconfigured(), new HubqueueError('HQ_UNKNOWN_SERVER', RED._('hubqueue.errors.noServer')));
  }
  if (!server.hub) {
    const { field, code, message } = server.wrong;
    return refuse(node, show.wrong(field), new HubqueueError(code, RED._('hubqueue.errors.server', { message })));
  }
  const set = settings(RED, node, config);
  return set && { hub: server.hub, server, set, show };
}

/** The values of the fields, or null: the node has said what is wrong then. */
function settings(RED, node, config) {
  try {
    return settingsOf(RED, node, config);
  } catch (error) {
    return refuse(node, statuses(RED._).wrong(error.field), error);
  }
}

function refuse(node, status, error) {
  node.status(status);
  node.error(error);
  node.on('input', (msg, send, done) => done(error));
  return null;
}

const MAX_SHOWN = 100; // characters of what was written

function written(value) {
  return String(typeof value === 'string' ? value : JSON.stringify(value)).slice(0, MAX_SHOWN);
}

/** What the runtime makes of a value when the node is deployed: the environment variable that is all of it, filled in. */
function filledIn(RED, id, value) {
  const name = variableOf(value);
  if (name === undefined) {
    return value;
  }
  const node = RED.nodes.getNode(id);
  return RED.util.getSetting(node, name, node?._flow || anyFlow(RED)) ?? value;
}

/** A flow that knows the environment of all flows, for a node that is not deployed yet. */
function anyFlow(RED) {
  let flow;
  RED.nodes.eachNode(({ id, z }) => {
    flow ??= z ? undefined : RED.nodes.getNode(id)?._flow;
  });
  return flow;
}

module.exports = { configured, refuse, settings, settingsOf, tlsOf, wrongField, filledIn };
