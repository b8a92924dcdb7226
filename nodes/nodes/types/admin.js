'use strict';
/** What the dialogs ask the runtime: is the hub there, which queues has it; and the button of the worker node. */

const { hostsOf } = require('../../lib/hosts');
const { Link } = require('../../lib/link');
const { filledIn, settingsOf, tlsOf } = require('./settings');

const UNCHANGED = '__PWRD__'; // what the editor shows of a stored password
const TEST_MS = 8000;

module.exports = function register(RED) {
  const allowed = (permission) => RED.auth.needsPermission(permission);

  RED.httpAdmin.post('/hubqueue/test', allowed('hubqueue.write'), async (request, response) => {
    const { id, tls, token, ...written } = request.body || {};
    const known = RED.nodes.getCredentials(id) || {};
    const began = Date.now();
    try {
      const filled = Object.fromEntries(Object.entries(written).map(([name, value]) => [name, filledIn(RED, id, value)]));
      const { host, port, connectTimeout } = settingsOf(RED, null, filled, 'hubqueue-server');
      const link = new Link({
        hosts: () => hostsOf(host),
        port,
        tlsOptions: tlsOf(RED, tls),
        token: filledIn(RED, id, token === UNCHANGED ? known.token : token),
        connectMs: Math.min(TEST_MS, connectTimeout),
      });
      const hello = await firstWord(link);
      response.json({ ok: true, host: link.host, hubId: hello.hubId, version: hello.version, ms: Date.now() - began });
    } catch (error) {
      response.json({ ok: false, code: error.code || 'HQ_OFFLINE', message: error.message });
    }
  });

  RED.httpAdmin.get('/hubqueue/:id/queues', allowed('hubqueue.read'), async (request, response) => {
    const node = RED.nodes.getNode(request.params.id);
    try {
      const queues = node?.hub?.up ? (await node.hub.ask('ListQueues', {}, TEST_MS)).queues : [];
      response.json({ queues: queues.filter((name) => !name.startsWith('_')).sort() });
    } catch (error) {
      response.json({ queues: [], code: error.code, message: error.message });
    }
  });

  RED.httpAdmin.post('/hubqueue/worker/:id/toggle', allowed('hubqueue.write'), (request, response) => {
    const node = RED.nodes.getNode(request.params.id);
    if (!node?.pause) {
      response.sendStatus(404);
      return;
    }
    node.pause(!node.paused());
    response.json({ paused: node.paused() });
  });
};

/** What the hub says of itself, or why there is no connection. */
function firstWord(link) {
  return new Promise((resolve, reject) => {
    link.once('up', resolve);
    link.once('down', reject);
    link.start();
  }).finally(() => link.stop());
}
