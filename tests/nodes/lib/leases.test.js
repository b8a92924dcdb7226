'use strict';
const assert = require('node:assert/strict');
const { test } = require('node:test');
const { lib } = require('./support');
const { LeaseTable } = lib('leases');

const job = (n, more = {}) => ({ id: `j${n}`, token: `t${n}`, queue: 'q', worker: 'w', timeoutMs: 0, ...more });

test('leases are counted for their worker, over its deploys', () => {
  const table = new LeaseTable();
  table.add(job(1));
  table.add(job(2, { worker: 'other' }));
  assert.equal(table.count('w'), 1);
  assert.deepEqual(table.of('other').map(({ id }) => id), ['j2']);
});

test('a place is freed once, and the past is remembered', () => {
  const table = new LeaseTable();
  const freed = [];
  table.on('freed', (worker) => freed.push(worker));
  const lease = table.add(job(1));
  table.settling(lease, { kind: 'complete' });
  table.end(lease, 'settled');
  table.end(lease, 'lost');
  assert.deepEqual(freed, ['w']);
  assert.equal(table.find('j1', 't1').state, 'settled');
  assert.equal(table.find('j1', 'another token'), undefined);
});

test('the job timeout ends a held job, once, and starts anew when touched', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const table = new LeaseTable();
  const expired = [];
  const lease = table.add(job(1, { timeoutMs: 100, expire: (each) => expired.push(each.id) }));
  t.mock.timers.tick(60);
  table.touch(lease);
  t.mock.timers.tick(60);
  assert.deepEqual(expired, []);
  t.mock.timers.tick(60);
  assert.deepEqual(expired, ['j1']);
});

test('a job that is being settled does not time out', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const table = new LeaseTable();
  const expired = [];
  const lease = table.add(job(1, { timeoutMs: 100, expire: (each) => expired.push(each.id) }));
  table.settling(lease, { kind: 'complete' });
  t.mock.timers.tick(1000);
  assert.deepEqual(expired, []);
  table.hold(lease);
  t.mock.timers.tick(1000);
  assert.deepEqual(expired, ['j1']);
});

test('what is remembered is bounded', () => {
  const table = new LeaseTable();
  for (let n = 0; n < 5100; n += 1) {
    table.end(table.add(job(n)), 'settled');
  }
  assert.equal(table.past.size, 5000);
  assert.equal(table.find('j0', 't0'), undefined);
});
