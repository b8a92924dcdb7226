'use strict';
/**
 * Messages that a hub has refused for good and no flow could be told of: one line of JSON each, to read and to mend by
 * hand, in a file for each server node. Of what is more than the bound, the older half goes.
 */

const fs = require('node:fs');
const path = require('node:path');
const { nameOf } = require('./folder');
const { readFrame } = require('./frames');
const { InOrder } = require('./order');
const { jobOf } = require('./wirenames');

const MOST_BYTES = 16 * 1024 * 1024; // then a new file is begun; the one before it stays

class Refusals {
  constructor(folder) {
    this.folder = folder;
    this.order = new InOrder();
  }

  /** On the disk when this resolves: the path of the file it is in. Errors: those of fs. */
  async add(id, entry, error) {
    const file = path.join(this.folder.place, `${nameOf(id)}.refused`);
    await this.order.run(() => write(file, lineOf(entry, error)));
    return file;
  }
}

async function write(file, line) {
  await fs.promises.mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const size = await fs.promises.stat(file).then((stat) => stat.size, () => 0);
  if (size > MOST_BYTES) {
    await fs.promises.rename(file, `${file}.old`);
  }
  const handle = await fs.promises.open(file, 'a', 0o600);
  try {
    await handle.appendFile(line);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function lineOf({ frame, at, queue, id }, { code, message }) {
  const { cmd, reqId, ...job } = readFrame(frame.bytes);
  const sent = new Date(at).toISOString();
  return `${JSON.stringify({ sent, queue, id, code, message, job: jobOf(job) }, (key, value) => (typeof value === 'bigint' ? String(value) : value))}\n`;
}

module.exports = { Refusals };
