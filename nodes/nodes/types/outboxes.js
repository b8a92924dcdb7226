'use strict';
/** The outboxes of this Node-RED, in its user folder, and what the log says of them. */

const path = require('node:path');
const { Outboxes } = require('../../lib/outboxes');

const byPlace = new Map();

/** What is good to know; all else is a warning. */
const GOOD = new Set(['before', 'beforeDone', 'keptAgain', 'held']);

function outboxesOf(RED) {
  const { userDir } = RED.settings;
  const place = userDir && path.join(userDir, 'hubqueue');
  if (!byPlace.has(place)) {
    const outboxes = new Outboxes(place, teller(RED));
    byPlace.set(place, outboxes);
    RED.events.on('flows:started', () => outboxes.findParked());
  }
  return byPlace.get(place);
}

/** For the log, in its words, of a server node or of an outbox without one. */
function teller(RED, node) {
  return (what, values) => {
    const text = RED._(`hubqueue.outbox.${what}`, values);
    if (GOOD.has(what)) {
      (node ?? RED.log)[node ? 'log' : 'info'](text);
    } else {
      (node ?? RED.log).warn(text);
    }
  };
}

module.exports = { outboxesOf, teller };
