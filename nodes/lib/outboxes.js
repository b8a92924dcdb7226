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

  /** Its node was removed: what is in the file waits there, what is only in memory is dropped. */
  park(outbox) {
    const n = outbox.size + outbox.others.size;
    if (outbox.keeps) {
      outbox.line = null;
      outbox.tell = this.tell;
    } else {
      outbox.drop();
      this.all.delete(nameOf(outbox.id));
    }
    if (n > 0) {
      this.tell(outbox.keeps ? 'parked' : 'dropped', { n, file: outbox.file });
    }
  }

  /** The flows have started: look for files of nodes that are not there, and forget nodes that are gone. */
  findParked() {
    for (const [name, outbox] of this.all) {
      if (!this.lines.has(outbox.line) && outbox.idle) {
        this.all.delete(name);
      }
    }
    for (const name of this.folder?.names() ?? []) {
      if (!this.all.has(name)) {
        const outbox = this.make(name, (what, values) => this.tell(what === 'before' ? 'parked' : what, values));
        outbox.set({ maxEntries: Infinity, maxBytes: Infinity, keep: true });
        outbox.flush();
      }
    }
  }
}

module.exports = { Outboxes };
