'use strict';
const assert = require('node:assert/strict');
const { test } = require('node:test');
const { FOLDERLESS, lib, line: makeLine, push, until } = require('./support');
const { Outbox } = lib('outbox');
const { Outboxes } = lib('outboxes');
const { HubqueueError } = lib('errors');

/** An outbox in memory, and its line: what it sends is answered by the test. */
function box({ up = true, maxEntries = 3, maxBytes = 1000, hub = 'A', where = 'a:1' } = {}) {
  const line = makeLine({ up, hub, where });
  line.told = [];
  line.outbox = new Outbox({ ...FOLDERLESS, id: 'box', lines: new Set(), tell: (what, values) => line.told.push({ what, ...values }) });
  line.outbox.set({ maxEntries, maxBytes, keep: true });
  line.outbox.attach(line);
  line.add = (n, { size = 1, queue = 'q' } = {}) => line.outbox.add({ reqId: n, bytes: Buffer.alloc(size) }, { queue, id: `once:${n}` });
  return line;
}

const offline = new HubqueueError('HQ_OFFLINE', 'gone');
const later = new HubqueueError('HQ_DISK_FULL', 'no room', { retryable: true });
const never = new HubqueueError('HQ_INVALID', 'never');
const turn = () => new Promise((resolve) => setImmediate(resolve));
const numbers = (line) => line.sent.map((each) => each.frame.reqId);

test('while the link is down messages wait in order, then all are sent', async () => {
  const line = box({ up: false });
  const stored = [1, 2, 3].map((n) => line.add(n).stored);
  assert.equal(line.sent.length, 0);
  line.up = true;
  line.outbox.connected();
  assert.deepEqual(numbers(line), [1, 2, 3]);
  line.sent.forEach((each) => each.resolve(each.frame.reqId));
  assert.deepEqual(await Promise.all(stored), [1, 2, 3]);
  assert.deepEqual([line.outbox.size, line.outbox.bytes, line.outbox.waiting], [0, 0, 0]);
});

test('what is unanswered at a break is sent again, the very same frame', async () => {
  const line = box();
  const { stored } = line.add(1);
  line.sent[0].reject(offline);
  await turn();
  line.outbox.connected();
  assert.equal(line.sent.length, 2);
  assert.equal(line.sent[1].frame, line.sent[0].frame);
  line.sent[1].resolve('there');
  assert.equal(await stored, 'there');
});

test('what is under way is not sent twice by a flush', () => {
  const line = box();
  line.add(1);
  line.outbox.flush();
  assert.equal(line.sent.length, 1);
});

test('all that is unanswered is bounded, by number and bytes, also while the link seems to be up', async () => {
  for (const up of [true, false]) {
    const line = box({ up });
    [1, 2, 3].forEach((n) => line.add(n));
    assert.throws(() => line.add(4), { code: 'HQ_BUFFER_FULL', message: up ? /3 of 3 messages.*the hub does not answer/ : /3 of 3 messages.*not connected/ });
    assert.equal(line.outbox.full, true);
    let changes = 0;
    line.outbox.on('changed', () => (changes += 1));
    await turn();
    assert.ok(changes > 0); // the other nodes of the hub show it
    line.up = true;
    line.outbox.connected();
    line.sent[0].resolve('there');
    await turn();
    assert.equal(line.outbox.full, false);
    line.add(5);
    const heavy = box({ up });
    heavy.add(1, { size: 600 });
    assert.throws(() => heavy.add(2, { size: 600 }), { code: 'HQ_BUFFER_FULL' });
  }
});

test('a message that is larger than the bound is taken when nothing else waits', () => {
  const line = box();
  line.add(1, { size: 5000 });
  assert.equal(line.sent.length, 1);
  assert.throws(() => line.add(2), { code: 'HQ_BUFFER_FULL' });
});

test('what is answered at once is never said to wait', async () => {
  const line = box();
  let changes = 0;
  line.outbox.on('changed', () => (changes += 1));
  line.add(1);
  line.sent[0].resolve('there');
  await turn();
  line.add(2);
  await until(() => line.outbox.waiting === 1); // and this is not
  await turn();
  assert.equal(changes, 1);
});

test('many changes at once are told once', async () => {
  const line = box({ up: false, maxEntries: 1000 });
  let changes = 0;
  line.outbox.on('changed', () => (changes += 1));
  for (let n = 0; n < 1000; n += 1) {
    line.add(n, { size: 0 });
  }
  await line.outbox.keepAll();
  await turn();
  assert.equal(changes, 1);
  line.up = true;
  line.outbox.connected();
  line.sent.forEach((each) => each.resolve('there'));
  await turn();
  await turn();
  assert.equal(changes, 2);
});

test('"later" holds its queue in order and no other one, a refusal goes to the flow', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const line = box({ maxEntries: 10 });
  const { stored } = line.add(1, { queue: 'full' });
  line.sent[0].reject(later);
  await turn();
  line.add(2, { queue: 'full' });
  line.add(3, { queue: 'good' });
  assert.deepEqual(numbers(line), [1, 3]);
  t.mock.timers.tick(500);
  assert.deepEqual(numbers(line), [1, 3, 1, 2]);
  line.sent[2].reject(never);
  await assert.rejects(stored, { code: 'HQ_INVALID' });
  assert.equal(line.outbox.size, 2);
});

test('a refusal that no flow can be told of is told in the log', async () => {
  const line = box();
  line.add(1, { queue: 'mail' }).abandon();
  line.sent[0].reject(never);
  await until(() => line.told.length > 0);
  assert.deepEqual(line.told, [{ what: 'refusedUnkept', id: 'once:1', queue: 'mail', message: 'never' }]);
  assert.equal(line.outbox.size, 0);
});

test('what somebody can mend is not given up when no flow can be told', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const line = box();
  line.add(1).abandon();
  for (let turns = 1; turns <= 3; turns += 1) {
    line.sent.at(-1).reject(new HubqueueError('HQ_FORBIDDEN', 'no'));
    await turn();
    line.add(turns + 1); // others pass
    line.sent.at(-1).resolve('there');
    await turn();
    t.mock.timers.tick(30_000);
    assert.equal(line.sent.at(-1).frame.reqId, 1);
  }
  line.sent.at(-1).resolve('there');
  await turn();
  assert.equal(line.outbox.size, 0);
  assert.deepEqual(line.told.map(({ what }) => what), ['curable']); // once
});

test('messages outlive the node: the next line sends them', async () => {
  const old = box({ up: false });
  const stored = [1, 2].map((n) => old.add(n).stored);
  await old.outbox.detach(old);
  const next = makeLine({ up: true, hub: 'A', where: 'a:1' });
  old.outbox.attach(next);
  old.outbox.connected();
  assert.deepEqual(numbers(next), [1, 2]);
  next.sent.forEach((each) => each.resolve('ok'));
  assert.deepEqual(await Promise.all(stored), ['ok', 'ok']);
});

test('a message goes to the hub it was accepted for, by its id or its address', async () => {
  const cases = [
    // accepted for          the hub that is there      sent   told
    [['A', 'a:1'], ['A', 'b:2'], true, []], // it has moved
    [['A', 'a:1'], ['B', 'a:1'], true, ['moved']], // another one took its place
    [['A', 'a:1'], ['B', 'b:2'], false, ['others']],
    [[null, 'a:1'], ['A', 'a:1'], true, []],
    [[null, 'wrong:1'], ['A', 'a:1'], true, ['moved']], // the address was put right
  ];
  for (const [[hub, where], [nextHub, nextWhere], sent, told] of cases) {
    const line = box({ up: false, hub, where });
    line.add(1);
    await line.outbox.detach(line);
    const next = makeLine({ up: true, hub: nextHub, where: nextWhere });
    line.outbox.attach(next);
    line.outbox.connected();
    assert.deepEqual(numbers(next), sent ? [1] : [], `${hub} ${where}`);
    line.outbox.connected(); // the link was down for a moment
    assert.deepEqual(line.told.map(({ what }) => what), told);
  }
});

test('what is for another hub takes no room, and goes over any line that reaches it', async () => {
  const outboxes = new Outboxes(undefined, () => {});
  const first = outboxes.of('first', () => {});
  first.set({ maxEntries: 2, maxBytes: 1000, keep: true });
  const toA = makeLine({ up: false, hub: 'A', where: 'a:1' });
  first.attach(toA);
  const { stored } = first.add(...push(1));
  first.add(...push(2));
  await first.detach(toA);
  const toB = makeLine({ up: true, hub: 'B', where: 'b:1' });
  first.attach(toB);
  outboxes.connected(first);
  assert.deepEqual([toB.sent.length, first.size, first.waiting], [0, 0, 0]);
  first.add(...push(3));
  assert.deepEqual(numbers(toB), [3]);

  const second = outboxes.of('second', () => {});
  second.set({ maxEntries: 2, maxBytes: 1000, keep: true });
  const again = makeLine({ up: true, hub: 'A', where: 'elsewhere:1' });
  second.attach(again);
  outboxes.connected(second);
  assert.deepEqual(numbers(again), [1, 2]);
  again.sent[0].resolve('there');
  assert.equal(await stored, 'there');
});
