'use strict';
/**
 * Messages on their way into a hub, oldest first, all that are unanswered. Each was given its id here, so that sending it
 * again after a broken link, or after a restart, stores nothing twice; after a break all is sent again, in order, as the
 * same bytes. What is unanswered after a moment is `late`: it is kept in a file (keeper.js), so that a hub that answers
 * costs no write, and a status says how many these are. A message goes to the hub it was accepted for, known by its id or
 * by its address, over whichever line reaches that hub.
 */

const { EventEmitter } = require('node:events');
const { HubqueueError } = require('./errors');
const { Keeper } = require('./keeper');

const MOMENT_MS = 250;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;
const CURABLE_MS = 30_000;
const MEGABYTE = 1024 * 1024;

/** Somebody may change the token, make room, or mend the hub: so what nobody can be told of is not given up for these. */
const CURABLE = new Set(['HQ_FORBIDDEN', 'HQ_NOT_AUTHENTICATED', 'HQ_QUEUE_FULL', 'HQ_ERROR']);

/** A message that waits for its answer. `stored`: the reply of the hub. at: when it came, in ms; number: in the file. */
class Entry {
  constructor({ frame, queue, id, at, hub, where, number, restored = false }) {
    Object.assign(this, { frame, queue, id, at, hub, where, number, restored });
    this.since = performance.now(); // `at` may jump with the clock
    this.late = false;
    this.underway = false;
    this.settle = null; // of who waits for it; null when nobody does
  }

  /** Let somebody wait for it. */
  awaited() {
    this.stored = new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
    });
    this.stored.catch(() => {}); // who waits for it hears it
    return this;
  }

  /** Nobody waits for it any more: a refusal is told in the log. */
  abandon() {
    this.settle = null;
  }

  isFor({ hub, where }) {
    return this.hub === hub || this.where === where;
  }

  /** Whether that is another hub, or another address while the hub is not known. */
  movesTo({ hub, where }) {
    return this.hub === null ? this.where !== where : this.hub !== hub;
  }
}

class Outbox extends EventEmitter {
  /**
   * lines: all of this process, { send(frame), up, hub, where, why }. folder: null keeps all in memory.
   * tell(what, values): for the log. Emits `changed` when what a status says may be another thing.
   */
  constructor({ id, lines, folder, refusals, tell }) {
    super();
    this.setMaxListeners(0); // every node of the runtime may listen
    Object.assign(this, { id, lines, refusals, tell });
    this.line = null; // of the hub that new messages are for
    this.toldOf = null; // the line for which it was told what is for another hub
    this.entries = new Set();
    this.others = new Set(); // those for another hub than that of `line`
    this.bytes = 0;
    this.full = false; // a message was refused, and nothing was answered since
    this.lateOnes = 0;
    this.young = new Set();
    this.changing = null;
    this.ticking = null;
    this.waits = new Map(); // by queue: its timer, while the hub says "later"
    this.retryMs = new Map();
    this.keeps = false;
    this.restored = 0; // so many an earlier run has left
    this.restoredLeft = 0; // and of those are unanswered
    this.keeper = folder && new Keeper(folder, id, this);
    if (folder?.has(id)) {
      this.keeper.open();
    }
  }

  /** maxBytes: of the messages as they are sent. keep: in the file, what is late. */
  set({ maxEntries, maxBytes, keep }) {
    Object.assign(this, { maxEntries, maxBytes, full: false });
    const keeps = keep && this.keeper !== null;
    if (keeps && !this.keeps) {
      this.keeper.put([...this.others, ...this.entries].filter((entry) => entry.late && !this.keeper.kept.has(entry)));
    } else if (!keeps) {
      this.keeper?.forgetFresh();
    }
    this.keeps = keeps;
  }

  get size() {
    return this.entries.size;
  }

  /** How many wait for our hub; what is answered at once is not counted. They are on the disk, if `keeps` and no `error`. */
  get waiting() {
    const held = this.keeps && !this.error ? this.keeper.kept.size : this.lateOnes;
    return Math.max(0, held - this.others.size);
  }

  /** Whether it can be forgotten: nothing waits, and nothing is to be written. */
  get idle() {
    return this.size + this.others.size === 0 && (this.keeper === null || this.keeper.idle);
  }

  /** Why the file cannot be written, or null. */
  get error() {
    return this.keeps ? this.keeper.error : null;
  }

  get file() {
    return this.keeper?.journal.file;
  }

  /** Messages are for the hub of this line from now on. */
  attach(line) {
    this.line = line;
    this.lines.add(line);
  }

  /** Accept a message. Errors: HQ_BUFFER_FULL; what becomes of it tells its `stored`: the reply, or what the hub says. */
  add(frame, { queue, id }) {
    const { length } = frame.bytes;
    if (this.entries.size > 0 && (this.entries.size >= this.maxEntries || this.bytes + length > this.maxBytes)) {
      this.full = true;
      this.changed();
      throw this.noRoom();
    }
    const { hub = null, where = '' } = this.line || {};
    const entry = new Entry({ frame, queue, id, at: Date.now(), hub, where }).awaited();
    this.take(entry);
    this.young.add(entry);
    this.tickLater();
    if (this.line?.up && !this.waits.has(queue)) {
      this.transmit(entry, this.line);
    }
    return entry;
  }

  noRoom() {
    const [held, room] = [this.bytes, this.maxBytes].map((bytes) => (bytes / MEGABYTE).toFixed(1));
    const hint = 'enlarge the buffer in the dialog of the hub, or let Catch keep the message';
    const why = this.line?.up ? 'the hub does not answer' : `the hub is not connected${this.line?.why ? `: ${this.line.why}` : ''}`;
    return new HubqueueError('HQ_BUFFER_FULL', `${this.size} of ${this.maxEntries} messages and ${held} of ${room} MB wait, ${why}`, { hint });
  }

  /** The hub of our line is there (again): tell what is for another one, and send everything that can be. */
  connected() {
    const { line } = this;
    const all = [...this.others, ...this.entries]; // oldest first: the others came before the address was changed
    this.others.clear();
    this.entries.clear();
    this.bytes = 0;
    for (const entry of all) {
      if (entry.hub === null || entry.isFor(line)) {
        this.take(entry);
      } else {
        this.others.add(entry);
      }
    }
    if (this.others.size > 0 && line !== this.toldOf) {
      this.toldOf = line;
      const [{ hub, where }] = this.others;
      this.tell('others', { n: this.others.size, hub, where, file: this.keeps ? this.file : '-' });
    }
    this.flush();
  }

  /** Send what waits and can be sent; tell what goes to another hub than it was accepted for. */
  flush() {
    const moved = new Map(); // by line: how many
    for (const entry of [...this.others, ...this.entries]) {
      const line = entry.underway || this.waits.has(entry.queue) ? undefined : this.lineFor(entry);
      if (line) {
        if (entry.movesTo(line)) {
          moved.set(line, (moved.get(line) ?? 0) + 1);
        }
        entry.hub = line.hub;
        this.transmit(entry, line);
      }
    }
    for (const [{ hub, where }, n] of moved) {
      this.tell('moved', { n, hub, where });
    }
  }

  lineFor(entry) {
    if (this.line?.up && this.entries.has(entry)) {
      return this.line;
    }
    return [...this.lines].find((line) => line.up && entry.isFor(line));
  }

  /** Everything that is unanswered is in the file when this resolves, or `error` says why not. */
  async keepAll() {
    this.tick(true);
    await this.keeper?.flush();
  }

  /** Resolves when all is answered that can be now. */
  answered() {
    return Promise.allSettled([...this.entries].map((entry) => entry.stored));
  }

  /** The line is gone; all that is unanswered is kept, as far as it can be. */
  async detach(line) {
    this.lines.delete(line);
    await this.keepAll();
  }

  /** What is to be in memory only is forgotten; how many these are. */
  drop() {
    const lost = this.keeps ? [] : [...this.others, ...this.entries].filter((entry) => !this.keeper?.kept.has(entry));
    lost.forEach((entry) => this.remove(entry));
    return lost.length;
  }

  /** What an earlier run has left; it comes before what this one has. */
  restore(left) {
    const now = [...this.entries];
    const entries = left.map((known) => new Entry({ ...known, restored: true }));
    this.entries.clear();
    this.bytes = 0;
    [...entries, ...now].forEach((entry) => this.take(entry));
    entries.forEach((entry) => this.markLate(entry));
    if (entries.length > 0) {
      this.restored = entries.length;
      this.restoredLeft = entries.length;
      this.tell('before', { n: entries.length, at: new Date(entries[0].at).toISOString(), file: this.file });
      setImmediate(() => (this.line?.up ? this.connected() : this.flush()));
    }
    return entries;
  }

  take(entry) {
    this.entries.add(entry);
    this.bytes += entry.frame.bytes.length;
  }

  remove(entry) {
    if (this.entries.delete(entry)) {
      this.bytes -= entry.frame.bytes.length;
    } else if (!this.others.delete(entry)) {
      return; // it was dropped while it was under way
    }
    this.full = false;
    this.young.delete(entry);
    this.keeper?.answered(entry);
    if (entry.late) {
      this.lateOnes -= 1;
      this.changed();
    }
    if (entry.restored && (this.restoredLeft -= 1) === 0) {
      this.tell('beforeDone', { n: this.restored });
    }
  }

  transmit(entry, line) {
    entry.underway = true;
    line.send(entry.frame).then(
      (reply) => {
        this.retryMs.delete(entry.queue);
        this.remove(entry);
        entry.settle?.resolve(reply);
      },
      (error) => this.unsent(entry, error),
    );
  }

  unsent(entry, error) {
    if (error.code === 'HQ_OFFLINE') {
      entry.underway = false; // until a line is up
    } else if (error.retryable) {
      entry.underway = false;
      this.retryLater(entry.queue);
    } else if (entry.settle === null && CURABLE.has(error.code)) {
      this.cureLater(entry, error);
    } else if (entry.settle !== null) {
      this.remove(entry);
      entry.settle.reject(error);
    } else {
      this.refused(entry, error);
    }
  }

  /** Nobody can be told but the log: what is kept in a file goes from one file to the other. */
  async refused(entry, error) {
    const { id, queue } = entry;
    if (!this.keeps && !this.keeper?.kept.has(entry)) {
      this.remove(entry);
      this.tell('refusedUnkept', { id, queue, message: error.message });
      return;
    }
    try {
      const file = await this.refusals.add(this.id, entry, error);
      this.remove(entry);
      this.tell('refused', { id, queue, message: error.message, file });
    } catch (trouble) {
      this.cureLater(entry, { code: trouble.code, message: `${error.message}; ${trouble.message}` });
    }
  }

  /** The hub said "later": what is for this queue waits, in order. */
  retryLater(queue) {
    if (this.waits.has(queue)) {
      return;
    }
    const ms = this.retryMs.get(queue) ?? FIRST_RETRY_MS;
    this.retryMs.set(queue, Math.min(ms * 2, LONGEST_RETRY_MS));
    const timer = setTimeout(() => {
      this.waits.delete(queue);
      this.flush();
    }, ms);
    timer.unref();
    this.waits.set(queue, timer);
  }

  /** Only somebody can help; it holds up no others. */
  cureLater(entry, error) {
    if (entry.told !== error.code) {
      entry.told = error.code;
      this.tell('curable', { id: entry.id, queue: entry.queue, message: error.message });
    }
    setTimeout(() => {
      entry.underway = false;
      this.flush();
    }, CURABLE_MS).unref();
  }

  tickLater() {
    if (this.ticking === null) {
      this.ticking = setTimeout(() => setImmediate(() => this.tick()), MOMENT_MS); // answers that are there are read first
      this.ticking.unref();
    }
  }

  /** What is unanswered for a moment by now is late. */
  tick(all = false) {
    clearTimeout(this.ticking);
    this.ticking = null;
    const late = [];
    const before = all ? Infinity : performance.now() - MOMENT_MS / 2;
    for (const entry of this.young) {
      if (entry.since > before) {
        break;
      }
      late.push(entry);
    }
    late.forEach((entry) => this.young.delete(entry) && this.markLate(entry));
    if (late.length > 0 && this.keeps) {
      this.keeper.put(late);
    }
    if (this.young.size > 0) {
      this.tickLater();
    }
  }

  markLate(entry) {
    entry.late = true;
    this.lateOnes += 1;
    this.changed();
  }

  /** Told once for all that happens now: every node of the hub listens. */
  changed() {
    this.changing ??= setImmediate(() => {
      this.changing = null;
      this.emit('changed');
    });
  }
}

module.exports = { Outbox };
