'use strict';
/** Outboxes on a real disk: what one run leaves, the next one has. */

const assert = require('node:assert/strict');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { spawn } = require('node:child_process');
const { test } = require('node:test');
const { lib, LIB, line: makeLine, push, until } = require('./support');
const { Folder } = lib('folder');
const { HubqueueError } = lib('errors');
const { Outboxes } = lib('outboxes');

const BOUND = { maxEntries: 1000, maxBytes: 1e6, keep: true };

/** A folder for a test. */
function place(t) {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), 'outbox-'));
  t.after(() => fs.rmSync(made, { recursive: true, force: true }));
  return path.join(made, 'hubqueue');
}

let last = null;

/** A run of Node-RED, as far as outboxes are concerned; its line is down. It kills the one before. */
function run(folder, { id = 'box', hub = 'A', where = 'a:1', ...bound } = {}) {
  if (last !== null) {
    clearTimeout(last.ticking);
    clearTimeout(last.keeper.timer);
    last.keeper.due = -Infinity;
  }
  const told = [];
  const tell = (what, values) => told.push({ what, ...values });
  const outboxes = new Outboxes(folder, tell);
  const outbox = outboxes.of(id, tell);
  last = outbox;
  outbox.set({ ...BOUND, ...bound });
  const line = makeLine({ up: false, hub, where });
  outbox.attach(line);
  return { outboxes, outbox, line, told, words: () => told.map(({ what }) => what), file: outbox.file };
}

const connect = ({ outboxes, outbox, line }) => {
  line.up = true;
  outboxes.connected(outbox);
};
const numbers = ({ line }) => line.sent.map(({ frame }) => lib('frames').readFrame(frame.bytes).data);
const answer = ({ line }) => line.sent.forEach(({ resolve }) => resolve('there'));
const kept = (folder) => run(folder).outbox.size;

test('what waits is in the file without anybody asking, and in the next run, in order and once', async (t) => {
  const folder = place(t);
  const one = run(folder);
  [1, 2, 3].forEach((n) => one.outbox.add(...push(n)));
  await until(() => one.outbox.keeper.kept.size === 3);
  assert.equal(fs.statSync(folder).mode & 0o777, 0o700);
  assert.equal(fs.statSync(one.file).mode & 0o777, 0o600);
  const two = run(folder); // the first one was killed
  two.outbox.add(...push(4));
  connect(two);
  assert.deepEqual(numbers(two), [1, 2, 3, 4]);
  assert.deepEqual(two.words(), ['before']);
  answer(two);
  await until(() => !fs.existsSync(one.file));
  assert.deepEqual(two.words(), ['before', 'beforeDone']);
});

test('what waited before comes first, whatever the clock says', async (t) => {
  const folder = place(t);
  const one = run(folder);
  t.mock.method(Date, 'now', () => 4e12);
  [1, 2].forEach((n) => one.outbox.add(...push(n)));
  await one.outbox.keepAll();
  t.mock.restoreAll();
  const two = run(folder);
  two.outbox.add(...push(3));
  await two.outbox.keepAll();
  const three = run(folder);
  three.outbox.add(...push(4));
  connect(three);
  assert.deepEqual(numbers(three), [1, 2, 3, 4]);
});

test('a hub that answers at once costs no file', async (t) => {
  const folder = place(t);
  const one = run(folder);
  connect(one);
  for (let n = 0; n < 50; n += 1) {
    one.outbox.add(...push(n));
    answer(one);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await one.outbox.detach(one.line);
  assert.equal(fs.existsSync(folder), false);
});

test('frames come back as the same bytes, whatever is in them', async (t) => {
  const folder = place(t);
  const one = run(folder);
  const data = [{ big: 2n ** 63n, buffer: Buffer.from([0, 10, 255]), date: new Date(5), text: 'ä\n\u2028 00', none: undefined, nan: NaN }, 'x'.repeat(3e5), null];
  const sent = data.map((each) => one.outbox.add(...push(each)));
  await one.outbox.detach(one.line);
  const two = run(folder);
  const back = [...two.outbox.entries];
  assert.deepEqual(back.map(({ frame }) => frame.bytes), sent.map(({ frame }) => frame.bytes));
  assert.deepEqual(back.map(({ frame }) => frame.reqId), sent.map(({ frame }) => frame.reqId));
  assert.deepEqual(back.map(({ at, id, queue, hub, where }) => [at, id, queue, hub, where]), sent.map(({ at, id, queue, hub, where }) => [at, id, queue, hub, where]));
});

test('the file is written anew when most of it is over, and never grows without end', async (t) => {
  const folder = place(t);
  const one = run(folder);
  one.outbox.add(...push('first', { id: 'stays' }));
  let most = 0;
  for (let round = 0; round < 30; round += 1) {
    const entries = Array.from({ length: 20 }, () => one.outbox.add(...push('x'.repeat(10_000))));
    await one.outbox.keepAll();
    most = Math.max(most, fs.statSync(one.file).size);
    entries.forEach((entry) => one.outbox.remove(entry));
    await one.outbox.keepAll();
  }
  assert.ok(most < 3e6, `${most} bytes for 200 kB`); // 8 MB went through it
  assert.deepEqual([...run(folder).outbox.entries].map(({ id }) => id), ['stays']);
});

test('a file that ends anywhere gives all messages that are whole in it', async (t) => {
  const folder = place(t);
  const one = run(folder);
  const ends = [0];
  for (let n = 0; n < 2; n += 1) {
    one.outbox.add(...push(n));
    await one.outbox.keepAll();
    ends.push(fs.statSync(one.file).size);
  }
  const whole = fs.readFileSync(one.file);
  for (const tail of [Buffer.alloc(0), Buffer.from('\u0000\n\nx y\n\u0000')]) {
    for (let length = 0; length <= whole.length; length += 1) {
      fs.writeFileSync(one.file, Buffer.concat([whole.subarray(0, length), tail]));
      const two = run(folder);
      connect(two);
      const least = ends.findLastIndex((end) => end <= length);
      const got = numbers(two);
      assert.deepEqual(got, [0, 1].slice(0, got.length), `length ${length}`);
      assert.ok(got.length >= least, `length ${length}: ${got.length} of ${least}`);
      if (length % 97 === 0) { // what is added behind such an end is there the next time
        two.outbox.add(...push('new'));
        await two.outbox.keepAll();
        const three = run(folder);
        connect(three);
        assert.deepEqual(numbers(three), [...got, 'new'], `length ${length}`);
        assert.ok(tail.length > 0 || !three.words().includes('damaged'), `length ${length}: ${three.words()}`); // torn is not damaged
      }
    }
  }
});

test('a changed byte costs the message it is in, and is told', async (t) => {
  const folder = place(t);
  const one = run(folder);
  [1, 2].forEach((n) => one.outbox.add(...push(n)));
  await one.outbox.keepAll();
  const whole = fs.readFileSync(one.file);
  for (let at = 0; at < whole.length; at += 1) {
    const bad = Buffer.from(whole);
    bad[at] = [whole[at] ^ 1, 10, 0][at % 3];
    fs.writeFileSync(one.file, bad);
    const two = run(folder);
    const got = [...two.outbox.entries].length;
    assert.ok(got >= 1, `byte ${at}: ${got} are left`);
    assert.ok(got === 2 || two.words().includes('damaged') || at === whole.length - 1, `byte ${at}`);
  }
  fs.writeFileSync(one.file, Buffer.concat([whole.subarray(0, 300), Buffer.from('?'), whole.subarray(301)]));
  const two = run(folder);
  await until(() => two.outbox.keeper.journal.known !== null); // it is made whole by itself
  assert.deepEqual(run(folder).words(), ['before']);
  assert.equal(fs.readFileSync(`${one.file}.damaged`)[300], 63);
});

/** A line as it is in the file. */
const lineOf = (said) => {
  const json = JSON.stringify(said);
  return `\n${createHash('sha256').update(json).digest('hex').slice(0, 16)} ${json}\n`;
};

test('a message that cannot be understood holds up no others', async (t) => {
  const folder = place(t);
  const one = run(folder);
  one.outbox.add(...push(1));
  await one.outbox.keepAll();
  const whole = fs.readFileSync(one.file);
  for (const said of [['put', 7, { frame: Buffer.from('\0\0\0\x01\xc1', 'latin1').toString('base64') }], ['put', 7, {}], ['put', 7], ['done', 7], 1, null]) {
    fs.writeFileSync(one.file, Buffer.concat([Buffer.from(lineOf(said)), whole]));
    const two = run(folder);
    assert.deepEqual([two.outbox.size, two.words()], [1, ['damaged', 'before']], JSON.stringify(said));
  }
});

test('a file that may be readable later is left where it is', async (t) => {
  const folder = place(t);
  const one = run(folder);
  one.outbox.add(...push(1));
  await one.outbox.keepAll();
  fs.renameSync(one.file, `${one.file}.away`);
  fs.symlinkSync(one.file, one.file); // ELOOP, as EACCES and EMFILE for others than root
  const two = run(folder);
  two.outbox.add(...push(2));
  await two.outbox.keepAll();
  assert.deepEqual(two.words(), ['unkept']);
  fs.renameSync(`${one.file}.away`, one.file);
  await two.outbox.keepAll();
  assert.deepEqual(two.words(), ['unkept', 'before', 'keptAgain']);
  connect(two);
  assert.deepEqual(numbers(two), [1, 2]);
});

test('a file that will never be readable is set aside, and a new one is begun', async (t) => {
  const folder = place(t);
  const made = run(folder);
  made.outbox.add(...push(1));
  await made.outbox.keepAll();
  fs.rmSync(made.file);
  const later = lineOf(['outbox', 2]);
  for (const make of [() => fs.mkdirSync(made.file), () => fs.writeFileSync(made.file, later)]) {
    make();
    const one = run(folder);
    assert.deepEqual(one.words(), ['aside']);
    assert.ok(fs.existsSync(path.join(folder, one.told[0].aside)));
    one.outbox.add(...push(1));
    await one.outbox.keepAll();
    assert.equal(one.outbox.error, null);
    assert.equal(kept(folder), 1);
    fs.rmSync(made.file);
  }
});

test('a file that was taken away or changed is written anew with all that waits', async (t) => {
  const folder = place(t);
  const one = run(folder);
  let n = 0;
  for (const harm of [() => fs.rmSync(one.file), () => fs.appendFileSync(one.file, 'x'), () => fs.truncateSync(one.file, 10), () => fs.rmSync(folder, { recursive: true })]) {
    one.outbox.add(...push((n += 1)));
    await one.outbox.keepAll();
    harm();
    one.outbox.add(...push((n += 1)));
    await one.outbox.keepAll();
    assert.equal(kept(folder), n);
  }
});

test('a disk that cannot be written is told once, messages wait in memory, and are kept when it can', async (t) => {
  const folder = place(t);
  fs.writeFileSync(folder, 'a file where the folder should be');
  const one = run(folder);
  [1, 2].forEach((n) => one.outbox.add(...push(n)));
  await one.outbox.keepAll();
  assert.equal(one.outbox.error.code, 'ENOTDIR');
  await one.outbox.keepAll();
  assert.deepEqual(one.words(), ['unkept']);
  one.outbox.set({ ...BOUND, keep: false });
  one.outbox.set(BOUND); // switched off and on again: they are still to be written
  fs.rmSync(folder);
  await one.outbox.keepAll();
  assert.equal(one.outbox.error, null);
  assert.deepEqual(one.words(), ['unkept', 'keptAgain']);
  assert.equal(kept(folder), 2);
});

test('with "keep" off nothing is written, what is in the file is sent', async (t) => {
  const folder = place(t);
  const one = run(folder);
  one.outbox.add(...push(1));
  await one.outbox.keepAll();
  const two = run(folder, { keep: false });
  two.outbox.add(...push(2));
  await two.outbox.detach(two.line);
  assert.equal(kept(folder), 1);
  const three = run(folder, { keep: false });
  connect(three);
  assert.deepEqual(numbers(three), [1]);
  answer(three);
  await until(() => !fs.existsSync(one.file));
  const four = run(folder, { keep: false });
  [3, 4].forEach((n) => four.outbox.add(...push(n)));
  await four.outbox.keepAll();
  four.outbox.set(BOUND); // switched on: what waits is kept from now on
  await four.outbox.keepAll();
  assert.equal(kept(folder), 2);
});

test('what a removed server has left goes with the next one that reaches its hub', async (t) => {
  const folder = place(t);
  const one = run(folder, { id: 'removed' });
  one.outbox.add(...push(1));
  await one.outbox.detach(one.line);
  one.outboxes.park(one.outbox);
  assert.deepEqual(one.told, [{ what: 'parked', n: 1, file: one.file }]);

  const two = run(folder, { id: 'other', hub: 'B', where: 'b:1' }); // the next run
  connect(two);
  two.outboxes.findParked();
  two.outboxes.findParked();
  assert.deepEqual(two.told.map(({ what, n, file }) => [what, n, file]), [['parked', 1, one.file]]);
  assert.equal(two.line.sent.length, 0);

  const three = run(folder, { id: 'third', hub: 'A', where: 'c:1' });
  connect(three);
  three.outboxes.findParked();
  await until(() => three.line.sent.length > 0);
  assert.deepEqual(numbers(three), [1]);
  answer(three);
  await until(() => !fs.existsSync(one.file));
});

test('a message of before that the hub refuses is kept to read, and holds up nobody', async (t) => {
  const folder = place(t);
  const one = run(folder);
  [1n, 2].forEach((n) => one.outbox.add(...push(n)));
  await one.outbox.detach(one.line);
  const two = run(folder);
  connect(two);
  two.line.sent[0].reject(new HubqueueError('HQ_INVALID', 'never'));
  two.line.sent[1].resolve('there');
  await until(() => two.words().includes('refused'));
  const { file } = two.told.find(({ what }) => what === 'refused');
  const refused = JSON.parse(fs.readFileSync(file, 'utf8'));
  assert.deepEqual([refused.code, refused.queue, refused.job.data], ['HQ_INVALID', 'q', 1]);
  assert.equal(fs.statSync(file).mode & 0o777, 0o600);
  await until(() => !fs.existsSync(one.file));
});

test('a refused message stays where it is until it is in the file of those', async (t) => {
  const folder = place(t);
  const one = run(folder);
  one.outbox.add(...push('bad'));
  await one.outbox.keepAll();
  const refused = path.join(folder, 'box.refused');
  fs.mkdirSync(refused); // it cannot be written
  const refuse = async (word) => {
    const next = run(folder);
    connect(next);
    next.line.sent[0].reject(new HubqueueError('HQ_INVALID', 'never'));
    await until(() => next.words().includes(word));
    await next.outbox.keepAll();
    return next.told.find(({ what }) => what === word);
  };
  const { message } = await refuse('curable');
  assert.match(message, /^never; EISDIR/);
  fs.rmdirSync(refused);
  assert.equal((await refuse('refused')).file, refused);
  assert.equal(JSON.parse(fs.readFileSync(refused, 'utf8')).job.data, 'bad');
  assert.equal(kept(folder), 0);
});

test('of refused messages that are more than the bound the older ones go', async (t) => {
  const folder = place(t);
  fs.mkdirSync(folder);
  const refused = path.join(folder, 'box.refused');
  const one = run(folder);
  connect(one);
  for (const [n, before] of ['first', 'second'].entries()) {
    fs.writeFileSync(refused, before);
    fs.truncateSync(refused, 16 * 1024 * 1024 + 1);
    one.outbox.add(...push(n)).abandon();
    one.line.sent.at(-1).reject(new HubqueueError('HQ_INVALID', 'never'));
    await until(() => one.words().filter((word) => word === 'refused').length === n + 1);
    assert.equal(JSON.parse(fs.readFileSync(refused, 'utf8')).job.data, n);
    assert.ok(fs.readFileSync(`${refused}.old`, 'utf8').startsWith(before));
  }
});

test('with "keep" off a refused message is not written either', async (t) => {
  const folder = place(t);
  const one = run(folder, { keep: false });
  one.outbox.add(...push('secret')).abandon();
  connect(one);
  one.line.sent[0].reject(new HubqueueError('HQ_INVALID', 'never'));
  await until(() => one.words().includes('refusedUnkept'));
  await one.outbox.keepAll();
  assert.equal(fs.existsSync(folder), false);
});

test('a server node that is removed with "keep" off leaves what is in the file, and says so', async (t) => {
  const folder = place(t);
  const one = run(folder);
  one.outbox.add(...push(1));
  await one.outbox.keepAll();
  const two = run(folder, { keep: false });
  [2, 3].forEach((n) => two.outbox.add(...push(n)));
  await two.outbox.detach(two.line);
  two.outboxes.park(two.outbox);
  two.outboxes.findParked();
  assert.deepEqual(two.told.map(({ what, n }) => [what, n]), [['before', 1], ['dropped', 2], ['parked', 1]]);
  assert.deepEqual([...two.outboxes.all.values()], [two.outbox]); // one for the file
  assert.equal(kept(folder), 1);
});

test('what goes to another hub than it was accepted for is told, whichever line it goes over', async (t) => {
  const folder = place(t);
  const one = run(folder, { id: 'removed' });
  one.outbox.add(...push(1));
  await one.outbox.detach(one.line);
  const two = run(folder, { id: 'other', hub: 'B', where: 'a:1' }); // another hub took its place
  two.outboxes.findParked();
  connect(two);
  assert.deepEqual(numbers(two), [1]);
  assert.deepEqual(two.told.at(-1), { what: 'moved', n: 1, hub: 'B', where: 'a:1' });
});

test('who waits twice for the file gets one write after the other', async (t) => {
  const folder = place(t);
  const one = run(folder);
  one.outbox.add(...push(0));
  await one.outbox.keepAll();
  for (let n = 1; n < 20; n += 1) {
    one.outbox.add(...push(n));
    const first = one.outbox.keepAll();
    one.outbox.add(...push(n));
    await Promise.all([first, one.outbox.keepAll(), one.outbox.keepAll()]);
  }
  assert.deepEqual(one.words(), []);
  assert.equal(fs.readFileSync(one.file, 'utf8').match(/"outbox"/g).length, 1);
  assert.equal(fs.readFileSync(one.file, 'utf8').match(/"put"/g).length, 39); // and none is written twice
});

test('"keep" that is switched off and on while a message is written keeps it', async (t) => {
  const folder = place(t);
  const one = run(folder);
  one.outbox.add(...push(1));
  await one.outbox.keepAll();
  one.outbox.add(...push(2));
  const written = one.outbox.keepAll();
  while (one.outbox.keeper.writing === null) {
    await null;
  }
  one.outbox.set({ ...BOUND, keep: false });
  await written;
  one.outbox.set(BOUND);
  await one.outbox.keepAll();
  assert.equal(kept(folder), 2);
});

test('a folder that cannot be listed is told, and is no error of the flows', (t) => {
  const folder = place(t);
  fs.writeFileSync(folder, 'a file where the folder should be');
  const one = run(folder);
  one.outboxes.findParked();
  assert.deepEqual(one.told.map(({ what, file }) => [what, file]), [['unkept', folder]]);
});

test('what a removed server has left goes once its file can be read', async (t) => {
  const folder = place(t);
  const one = run(folder, { id: 'removed' });
  one.outbox.add(...push(1));
  await one.outbox.detach(one.line);
  const lock = path.join(folder, 'lock');
  fs.rmSync(lock);
  fs.mkdirSync(lock); // the folder cannot be entered
  const two = run(folder, { id: 'other' });
  connect(two);
  two.outboxes.findParked();
  assert.deepEqual(two.words(), ['unkept']);
  fs.rmdirSync(lock);
  await two.outboxes.all.get('removed').keepAll();
  await until(() => two.line.sent.length > 0);
  assert.deepEqual(numbers(two), [1]);
});

test('of two processes with one folder only the first one uses it, until it is gone', async (t) => {
  const folder = place(t);
  const script = `const { Folder } = require(${JSON.stringify(path.join(LIB, 'folder'))}); new Folder(${JSON.stringify(folder)}).enter(); console.log('in'); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const one = run(folder);
  one.outbox.add(...push(1));
  await one.outbox.keepAll();
  assert.equal(one.outbox.error.code, 'HQ_FOLDER_TAKEN');
  assert.match(one.outbox.error.message, new RegExp(`process ${child.pid}\\b`));
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
  await one.outbox.keepAll();
  assert.equal(one.outbox.error, null);
  fs.writeFileSync(path.join(folder, 'lock'), `${process.pid} 1 another-boot`); // our number, of before a power cut
  new Folder(folder).enter();
});
