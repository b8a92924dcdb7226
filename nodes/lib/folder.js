'use strict';
/**
 * The folder that outboxes are kept in, one file for each server node. One process at a time uses it: a second Node-RED
 * with the same user folder must neither send nor shorten what the first has written.
 */

const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { HubqueueError } = require('./errors');

const ENDING = '.outbox';
const PLAIN = /^[\w-]{1,64}$/; // ids that can be file names

const locks = new Set(); // ours
process.once('exit', () => locks.forEach(unlock));

class Folder {
  constructor(place) {
    this.place = place;
    this.lock = path.join(place, 'lock');
  }

  /** The path of the file of a server node. */
  file(id) {
    return path.join(this.place, `${nameOf(id)}${ENDING}`);
  }

  has(id) {
    return fs.existsSync(this.file(id));
  }

  /** The names of all outboxes. Errors: those of fs. */
  names() {
    const all = fs.existsSync(this.place) ? fs.readdirSync(this.place) : [];
    return all.filter((name) => name.endsWith(ENDING)).map((name) => name.slice(0, -ENDING.length));
  }

  /** Make it, and take it for this process, if it is not ours already. Errors: HQ_FOLDER_TAKEN, and those of fs. */
  enter() {
    const { lock } = this;
    for (let holder = holderOf(lock); holder !== SELF; holder = holderOf(lock)) {
      if (holder === undefined) {
        fs.mkdirSync(this.place, { recursive: true, mode: 0o700 });
        write(lock);
      } else if (isAlive(holder)) {
        const hint = 'give each a user folder of its own';
        throw new HubqueueError('HQ_FOLDER_TAKEN', `another Node-RED uses ${this.place}: process ${holder.split(' ')[0]}`, { hint });
      } else {
        removeStale(lock, holder);
      }
    }
    locks.add(lock);
  }
}

/** The file name of an id, without its ending. */
function nameOf(id) {
  return PLAIN.test(id) ? id : createHash('sha256').update(id).digest('hex').slice(0, 32);
}

/** A process as no other is named, also after a restart of the machine where that can be told. */
function signOf(pid) {
  try {
    const started = fs.readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').pop().split(' ')[19]; // see proc(5)
    const boot = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    return `${pid} ${started} ${boot}`;
  } catch {
    return `${pid}`; // no Linux, or no such process
  }
}

const SELF = signOf(process.pid);

function isAlive(holder) {
  const pid = Number(holder.split(' ')[0]);
  if (!Number.isInteger(pid) || pid <= 0 || signOf(pid) !== holder) {
    return false;
  }
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function holderOf(lock) {
  try {
    return fs.readFileSync(lock, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
}

function write(lock) {
  try {
    fs.writeFileSync(lock, SELF, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if (error.code !== 'EEXIST') { // somebody was quicker
      throw error;
    }
  }
}

function unlock(lock) {
  try {
    if (holderOf(lock) === SELF) {
      fs.rmSync(lock, { force: true });
    }
  } catch {
    // we end: the next one finds that we are gone
  }
}

/** Take away the lock of a process that is gone; never one that somebody has taken meanwhile. */
function removeStale(lock, holder) {
  const aside = `${lock}.${process.pid}`;
  fs.renameSync(lock, aside);
  if (holderOf(aside) === holder) {
    fs.rmSync(aside, { force: true });
  } else {
    fs.renameSync(aside, lock);
  }
}

module.exports = { Folder, nameOf };
