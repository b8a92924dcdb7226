'use strict';
/**
 * The messages of a node that wait for the hub. A deploy replaces the node, not its messages: the new one with the same
 * id receives them again, so that they go on in its flow, and Complete and Catch nodes hear of them.
 */

const left = new Map(); // by node id: what a node that was closed has left
const heard = new WeakSet();

class Waiting {
  constructor(RED, node) {
    Object.assign(this, { node, mine: new Set(), known: new WeakMap(), closed: false });
    node.takeOver = (items) => items.forEach((item) => this.again(item));
    if (!heard.has(RED.events)) {
      heard.add(RED.events);
      RED.events.on('flows:started', () => handOver(RED));
    }
  }

  /**
   * What `accept` made of the message, { entry, ... }, and the reply of the hub. It is asked once for a message, whatever
   * is deployed meanwhile. Errors: of accept, and what the hub answers.
   */
  async of(msg, accept) {
    const taken = this.known.get(msg);
    this.known.delete(msg); // a flow may send the same object once more: that is another message
    const item = taken ?? { msg, ...(await accept()) };
    this.mine.add(item);
    if (this.closed) {
      item.entry.abandon(); // it was not accepted yet when the node had to go
    }
    try {
      return { ...item, reply: await item.entry.stored };
    } finally {
      this.mine.delete(item);
    }
  }

  again(item) {
    this.known.set(item.msg, item);
    this.node.receive(item.msg);
  }

  close() {
    this.closed = true;
    left.set(this.node.id, [...(left.get(this.node.id) ?? []), ...this.mine]);
  }
}

function handOver(RED) {
  for (const [id, items] of left) {
    const next = RED.nodes.getNode(id)?.takeOver;
    if (next) {
      next(items);
    } else {
      items.forEach(({ entry }) => entry.abandon());
    }
  }
  left.clear();
}

module.exports = { Waiting };
