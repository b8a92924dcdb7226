'use strict';
const assert = require('node:assert/strict');
const { test } = require('node:test');
const { lib } = require('./support');
const { Outbox } = lib('outbox');
const { HubqueueError } = lib('errors');

function box({ up = true, maxEntries = 3, maxBytes = 1000 } = {}) {
  const line = { up, sent: [] };
  line.outbox = new Outbox({
    send: (frame) => new Promise((resolve, reject) => line.sent.push({ frame, resolve, reject })),
    online: () => line.up,
    maxEntries,
    maxBytes,
  });
  return line;
}

const frame = (n, size = 1) => ({ reqId: n, bytes: Buffer.alloc(size) });
const offline = new HubqueueError('HQ_OFFLINE', 'gone');
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('while the link is down messages wait in order, then all are sent', async () => {
  const line = box({ up: false });
  const stored = [1, 2, 3].map((n) => line.outbox.add(frame(n)));
  assert.equal(line.sent.length, 0);
  line.up = true;
  line.outbox.flush();
  assert.deepEqual(line.sent.map((each) => each.frame.reqId), [1, 2, 3]);
  line.sent.forEach((each) => each.resolve(each.frame.reqId));
  assert.deepEqual(await Promise.all(stored), [1, 2, 3]);
  assert.equal(line.outbox.size, 0);
  assert.equal(line.outbox.bytes, 0);
});

test('what is unanswered at a break is sent again, the very same frame', async () => {
  const line = box();
  const stored = line.outbox.add(frame(1));
  line.sent[0].reject(offline);
  await turn();
  line.outbox.flush();
  assert.equal(line.sent.length, 2);
  assert.equal(line.sent[1].frame, line.sent[0].frame);
  line.sent[1].resolve('there');
  assert.equal(await stored, 'there');
});

test('what is under way is not sent twice by a flush', () => {
  const line = box();
  line.outbox.add(frame(1)).catch(() => {});
  line.outbox.flush();
  assert.equal(line.sent.length, 1);
});

test('it is bounded by number and bytes, but only while nothing can be sent', async () => {
  const line = box({ up: false });
  [1, 2, 3].forEach((n) => line.outbox.add(frame(n)).catch(() => {}));
  await assert.rejects(line.outbox.add(frame(4)), { code: 'HQ_BUFFER_FULL' });
  const heavy = box({ up: false });
  await assert.rejects(heavy.outbox.add(frame(1, 1001)), { code: 'HQ_BUFFER_FULL' });
  const busy = box();
  [1, 2, 3, 4, 5].forEach((n) => busy.outbox.add(frame(n)).catch(() => {}));
  assert.equal(busy.sent.length, 5);
});

test('"later" is tried again, a refusal goes to the flow', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const line = box();
  const stored = line.outbox.add(frame(1));
  line.sent[0].reject(new HubqueueError('HQ_DISK_FULL', 'no room', { retryable: true }));
  await turn();
  t.mock.timers.tick(500);
  assert.equal(line.sent.length, 2);
  line.sent[1].reject(new HubqueueError('HQ_INVALID', 'never'));
  await assert.rejects(stored, { code: 'HQ_INVALID' });
  assert.equal(line.outbox.size, 0);
});

test('what is left moves to the next outbox in order', async () => {
  const old = box({ up: false });
  const stored = [1, 2].map((n) => old.outbox.add(frame(n)));
  const next = box();
  next.outbox.adopt(old.outbox.close());
  next.outbox.add(frame(3)).catch(() => {});
  next.outbox.flush();
  assert.deepEqual(next.sent.map((each) => each.frame.reqId).sort(), [1, 2, 3]);
  next.sent.forEach((each) => each.resolve('ok'));
  assert.deepEqual(await Promise.all(stored), ['ok', 'ok']);
});
