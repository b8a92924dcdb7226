'use strict';
/**
 * The file behind an outbox: what the hub may not have yet, one checked line for each thing that happened. It is only
 * appended to (and synced) while messages wait, written anew when most of it is over, and deleted when nothing waits.
 * A line is `checksum json`; the JSON is one of these lists, and what comes later counts:
 *
 *   ["outbox", version]          the first line
 *   ["put", number, entry]       a message: {at, hub, where, queue, id, frame}, the frame in base64
 *   ["done", [number, ...]]      these have been answered
 *
 * To change the format, raise VERSION: a file of another one is set aside, not read. A line that is torn at the end was
 * never promised; one that is damaged elsewhere costs itself alone, for a newline stands before and behind each.
 */

const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { readFrame } = require('./frames');

const VERSION = 1;
const NEWLINE = 10;
const CHUNK_BYTES = 1024 * 1024; // written at once: the event loop is not kept for longer
const NEVER = new Set(['EISDIR', 'ERR_FS_FILE_TOO_LARGE']); // what no other time, and no permission, makes readable
const NO_FOLLOW = fs.constants.O_NOFOLLOW ?? 0; // Windows has none
const APPEND = fs.constants.O_WRONLY | fs.constants.O_APPEND | NO_FOLLOW;

class Journal {
  constructor(file) {
    this.file = file;
    this.known = null; // { ino, size } as we have left it; null: nothing is there, or it has to be written anew
  }

  /**
   * What is there, in order: { entries, damaged: how many lines, copy: the name of a copy made of them, aside: the name
   * that a file which will never be readable has now }. Errors: those of fs, when it may be readable later.
   */
  load() {
    fs.rmSync(this.unfinished, { force: true }); // a kill has left it: the old file counts
    let content;
    try {
      content = fs.readFileSync(this.file);
    } catch (error) {
      if (error.code === 'ENOENT') {
        return { entries: [], damaged: 0 };
      }
      if (NEVER.has(error.code)) {
        return { entries: [], damaged: 0, aside: this.setAside() };
      }
      throw error;
    }
    const found = { puts: new Map(), damaged: 0, torn: false, version: VERSION };
    readLines(content, found);
    if (found.version !== VERSION) {
      return { entries: [], damaged: 0, aside: this.setAside() };
    }
    const entries = [...found.puts.values()];
    if (found.damaged > 0) {
      return { entries, damaged: found.damaged, copy: this.copied() }; // the next write makes it whole
    }
    if (!found.torn) { // else what is appended would stand behind a damaged line
      const { ino, size } = fs.statSync(this.file);
      this.known = { ino, size };
    }
    return { entries, damaged: 0 };
  }

  /**
   * Note what happened; on the disk when this resolves. `all`: what waits now, if the file has to be written anew.
   * Units: most, in bytes; a longer file is. Errors: those of fs, and then nothing was noted.
   */
  async write({ puts, done, all, most }) {
    if (this.known === null || this.known.size > most || !(await this.append(puts, done))) {
      await this.rewrite(all());
    }
  }

  /** Whether it could be: not if somebody has changed the file. */
  async append(puts, done) {
    let handle;
    try {
      handle = await fs.promises.open(this.file, APPEND);
    } catch (error) {
      if (error.code === 'ENOENT') {
        return false;
      }
      throw error;
    }
    try {
      const { ino, size } = await handle.stat();
      if (ino !== this.known.ino || size !== this.known.size) {
        return false;
      }
      try {
        await writeLines(handle, linesOf(puts, done));
        await handle.datasync();
        this.known = { ino, size: (await handle.stat()).size };
      } catch (error) {
        await handle.truncate(size).catch(() => {}); // else its size tells that it has to be written anew
        throw error;
      }
    } finally {
      await handle.close();
    }
    return true;
  }

  /** Only this, instead of all that was noted. Errors: those of fs, and then the file is as it was. */
  async rewrite(puts) {
    await fs.promises.rm(this.unfinished, { force: true });
    try {
      const handle = await fs.promises.open(this.unfinished, 'wx', 0o600);
      let known;
      try {
        await handle.appendFile(lineOf(['outbox', VERSION]));
        await writeLines(handle, linesOf(puts, []));
        await handle.sync();
        known = await handle.stat();
      } finally {
        await handle.close();
      }
      await fs.promises.rename(this.unfinished, this.file);
      this.known = { ino: known.ino, size: known.size };
    } catch (error) {
      await fs.promises.rm(this.unfinished, { force: true }).catch(() => {});
      throw error;
    }
    await syncFolder(path.dirname(this.file));
  }

  /** Nothing waits. Errors: those of fs. */
  async remove() {
    if (this.known !== null || fs.existsSync(this.file)) {
      await fs.promises.rm(this.file, { force: true });
      this.known = null;
      await syncFolder(path.dirname(this.file));
    }
  }

  get unfinished() {
    return `${this.file}.new`;
  }

  /** The name of a copy, the only one of its kind; undefined when there is no room for it. */
  copied() {
    const copy = `${this.file}.damaged`;
    try {
      fs.copyFileSync(this.file, copy);
      fs.chmodSync(copy, 0o600);
      return path.basename(copy);
    } catch {
      return undefined;
    }
  }

  setAside() {
    const aside = `${this.file}.unreadable-${Date.now()}`;
    fs.renameSync(this.file, aside);
    return path.basename(aside);
  }
}

function* linesOf(puts, done) {
  for (const { number, at, hub, where, queue, id, frame } of puts) {
    yield lineOf(['put', number, { at, hub, where, queue, id, frame: frame.bytes.toString('base64') }]);
  }
  if (done.length > 0) {
    yield lineOf(['done', done]);
  }
}

function lineOf(said) {
  const json = JSON.stringify(said);
  return `\n${checksum(json)} ${json}\n`;
}

function checksum(text) {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

async function writeLines(handle, lines) {
  let parts = [];
  let length = 0;
  for (const line of lines) {
    parts.push(line);
    length += line.length;
    if (length >= CHUNK_BYTES) {
      await handle.appendFile(parts.join(''));
      parts = [];
      length = 0;
    }
  }
  await handle.appendFile(parts.join(''));
}

function readLines(content, found) {
  for (let start = 0, end; start < content.length; start = end + 1) {
    const newline = content.indexOf(NEWLINE, start);
    end = newline === -1 ? content.length : newline;
    if (end > start && !take(content.toString('utf8', start, end), found)) {
      found.torn = newline === -1;
      found.damaged += found.torn ? 0 : 1;
    }
  }
}

/** Apply a line; whether it is as it was written, and can be understood. */
function take(line, found) {
  const json = line.slice(17);
  if (line[16] !== ' ' || line.slice(0, 16) !== checksum(json)) {
    return false;
  }
  try {
    apply(JSON.parse(json), found);
    return true;
  } catch {
    return false;
  }
}

function apply([kind, what, entry], found) {
  if (kind === 'outbox') {
    found.version = what;
  } else if (kind === 'put') {
    const bytes = Buffer.from(entry.frame, 'base64');
    const { cmd, reqId } = readFrame(bytes);
    found.puts.set(what, { ...entry, number: what, frame: { cmd, reqId, bytes } });
  } else if (kind === 'done') {
    what.forEach((number) => found.puts.delete(number));
  }
}

async function syncFolder(folder) {
  if (process.platform === 'win32') {
    return; // it cannot be opened there
  }
  const handle = await fs.promises.open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

module.exports = { Journal };
