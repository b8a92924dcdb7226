'use strict';
/**
 * When an outbox is written to its file: off the event loop, one write after the other, all that has come meanwhile in
 * the next. A file that cannot be written is tried again: until then messages wait in memory only.
 */

const { Journal } = require('./journal');

const NOTED_MS = 1000; // within this time it is noted that messages have been answered
const AGAIN_MS = 5000; // after a write that failed
const SLACK_BYTES = 1024 * 1024; // and twice what waits: so long may the file get before it is written anew
const ENTRY_BYTES = 300; // of a line, besides the frame
const BASE64 = 4 / 3;

class Keeper {
  /**
   * owner: `restore(entries)` gets what an earlier run has left, `tell(what, values)` what somebody should know, `changed()`
   * is called when `error` is another one: why the file cannot be written, null while it can.
   */
  constructor(folder, id, owner) {
    Object.assign(this, { folder, owner });
    this.journal = new Journal(folder.file(id));
    this.opened = false;
    this.unread = false; // there is a file that could not be read yet
    this.mend = false; // the file is damaged: it is to be written anew
    this.error = null;
    this.fresh = new Set(); // to be written
    this.kept = new Set(); // in the file and unanswered, in order
    this.bytes = 0; // of those in the file
    this.done = []; // numbers of those that were answered
    this.number = 0;
    this.timer = null;
    this.due = Infinity;
    this.writing = null;
  }

  get idle() {
    return this.writing === null && this.done.length === 0 && !this.mend && !this.unread;
  }

  /** Begin with what an earlier run has left, if that can be read now. */
  open() {
    try {
      this.folder.enter();
      this.read();
    } catch (error) {
      this.unread = true;
      this.failed(error);
      this.schedule(AGAIN_MS);
    }
  }

  /** These wait from now on. */
  put(entries) {
    entries.forEach((entry) => this.fresh.add(entry));
    this.goOn();
  }

  /** This one waits no more. */
  answered(entry) {
    this.fresh.delete(entry);
    if (this.kept.delete(entry)) {
      this.bytes -= bytesOf(entry);
      this.done.push(entry.number);
      this.schedule(NOTED_MS);
    }
  }

  /** Write no new ones: they are to be kept in memory only. */
  forgetFresh() {
    this.fresh.clear();
  }

  /** Resolves when everything is on the disk that can be; `error` tells whether that is so. */
  async flush() {
    clearTimeout(this.timer);
    this.due = -Infinity; // nothing is scheduled meanwhile
    while (this.writing !== null) { // another flush may be the first to go on
      await this.writing;
    }
    await this.run();
    this.due = Infinity;
    this.goOn();
  }

  read() {
    if (this.opened) {
      return;
    }
    const { entries, damaged, copy = '', aside } = this.journal.load();
    const { file } = this.journal;
    this.opened = true;
    this.unread = false;
    if (aside) {
      this.owner.tell('aside', { file, aside });
    }
    if (damaged > 0) {
      this.mend = true;
      this.schedule(0);
      this.owner.tell('damaged', { n: damaged, file, copy });
    }
    this.number = entries.reduce((most, { number }) => Math.max(most, number), 0);
    this.owner.restore(entries).forEach((entry) => this.keep(entry));
  }

  keep(entry) {
    this.kept.add(entry);
    this.bytes += bytesOf(entry);
  }

  schedule(ms) {
    const due = performance.now() + ms;
    if (this.writing !== null || this.due <= due) {
      return;
    }
    clearTimeout(this.timer);
    this.due = due;
    this.timer = setTimeout(() => {
      this.due = Infinity;
      this.run();
    }, ms);
    this.timer.unref();
  }

  /** Write what there is, then see what has come meanwhile. */
  async run() {
    this.writing = this.write().then(
      (wrote) => wrote && this.wrote(),
      (error) => this.failed(error),
    );
    await this.writing;
    this.writing = null;
    this.goOn();
  }

  goOn() {
    if (this.fresh.size > 0 || this.done.length > 0 || this.unread || this.mend) {
      this.schedule(this.error !== null ? AGAIN_MS : this.fresh.size > 0 ? 0 : NOTED_MS);
    }
  }

  /** Whether there was something to write. */
  async write() {
    if (this.fresh.size > 0 || this.unread) {
      this.folder.enter();
      this.read();
    }
    const fresh = [...this.fresh];
    const { done } = this;
    if (fresh.length === 0 && done.length === 0 && !this.mend) {
      return false;
    }
    if (fresh.length === 0 && this.kept.size === 0) {
      await this.journal.remove();
      this.done = [];
    } else {
      this.done = [];
      await this.add(fresh, done);
    }
    this.mend = false;
    return true;
  }

  async add(fresh, done) {
    for (const entry of fresh) {
      entry.number = this.number += 1; // a new one each time: its old one may be about to be noted as answered
    }
    const before = [...this.kept];
    const most = SLACK_BYTES + 2 * this.bytes;
    try {
      await this.journal.write({ puts: fresh, done, all: () => [...before, ...fresh], most });
    } catch (error) {
      this.done = [...done, ...this.done];
      throw error;
    }
    for (const entry of fresh) {
      this.keep(entry);
      if (!this.fresh.delete(entry)) {
        this.answered(entry); // while it was written
      }
    }
  }

  wrote() {
    if (this.error !== null) {
      this.error = null;
      this.owner.tell('keptAgain', { file: this.journal.file });
    }
    this.owner.changed();
  }

  failed(error) {
    const told = this.error !== null;
    this.error = error;
    if (!told) {
      this.owner.tell('unkept', { file: this.journal.file, message: error.message });
    }
    this.owner.changed();
  }
}

function bytesOf({ frame }) {
  return ENTRY_BYTES + frame.bytes.length * BASE64;
}

module.exports = { Keeper };
