'use strict';
/**
 * The outboxes of one user folder. An outbox outlives its server node: while flows are deployed anew, and when the node
 * was removed; then it is parked, and its messages go when a node with that id, or with their hub, is there again.
 */

const { Folder, nameOf } = require('./folder');
const { Outbox } = require('./outbox');
const { Refusals } = require('./refusals');

class Outboxes {
  /** place: the path of the folder; undefined where everything is to stay in memory. tell(what, values): for parked ones. */
  constructor(place, tell) {
    this.folder = place === undefined ? null : new Folder(place);
    this.refusals = new Refusals(this.folder);
    this.tell = tell;
    this.lines = new Set();
    this.all = new Map();
  }

  /** The outbox of a server node. */
  of(id, tell) {
    const known = this.all.get(nameOf(id));
    if (known !== undefined) {
      return Object.assign(known, { tell });
    }
    return this.make(id, tell);
  }

  make(id, tell) {
    const { lines, folder, refusals } = this;
    const outbox = new Outbox({ id, lines, folder, refusals, tell });
    this.all.set(nameOf(id), outbox);
    return outbox;
  }

  /** The line of a hub is up. */
  connected(outbox) {
    outbox.connected();
    for (const other of this.all.values()) {
      if (other !== outbox) {
        other.flush();
      }
    }
  }

  /** Its node was removed: what is in the file waits there, what is to be in memory only is dropped. */
  park(outbox) {
    const dropped = outbox.drop();
    const parked = outbox.size + outbox.others.size;
    Object.assign(outbox, { line: null, tell: this.tell });
    if (dropped > 0) {
      this.tell('dropped', { n: dropped });
    }
    if (parked > 0) {
      this.tell('parked', { n: parked, file: outbox.file });
    }
  }

  /** The flows have started: look for files of nodes that are not there, and forget nodes that are gone. */
  findParked() {
    for (const [name, outbox] of this.all) {
      if (!this.lines.has(outbox.line) && outbox.idle) {
        this.all.delete(name);
      }
    }
    for (const name of this.names()) {
      if (!this.all.has(name)) {
        const outbox = this.make(name, (what, values) => this.tell(what === 'before' ? 'parked' : what, values));
        outbox.set({ maxEntries: Infinity, maxBytes: Infinity, keep: true });
      }
    }
  }

  names() {
    try {
      return this.folder?.names() ?? [];
    } catch (error) {
      this.tell('unkept', { file: this.folder.place, message: error.message });
      return [];
    }
  }
}

module.exports = { Outboxes };
