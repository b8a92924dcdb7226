'use strict';
const assert = require('node:assert/strict');
const { test } = require('node:test');
const { lib } = require('./support');
const { outcomeOf, delayOf, retryAfterMs, errorText } = lib('outcome');
const { chance } = require('./generated');
const { marks, jobMessage } = lib('jobs');
const { toMs, brief } = lib('duration');
const { commandOf } = lib('settlement');
const { act, ACTIONS } = lib('actions');
const { crossings, figuresOf } = lib('figures');
const { kindOf, eventMessage } = lib('kinds');
const { endOf } = lib('uplink');
const { patternOf } = lib('consumer');
const { hostsOf } = lib('hosts');
const http = require('node:http');

test('a message says by itself how its job ends', () => {
  const kinds = [
    [{}, 'complete'],
    [{ statusCode: 200 }, 'complete'],
    [{ statusCode: 304 }, 'complete'],
    [{ statusCode: '201' }, 'complete'],
    [{ statusCode: 404 }, 'reject'],
    [{ statusCode: 408 }, 'retry'],
    [{ statusCode: 425 }, 'retry'],
    [{ statusCode: 429 }, 'retry'],
    [{ statusCode: 500 }, 'retry'],
    [{ statusCode: 'ECONNREFUSED' }, 'retry'],
    [{ error: { message: 'x' } }, 'retry'],
    [{ error: { message: 'x' }, statusCode: 404 }, 'retry'],
  ];
  for (const [msg, kind] of kinds) {
    assert.equal(outcomeOf(msg, { rule: 'message' }).kind, kind, JSON.stringify(msg));
  }
});

test('retry-after counts when the message decides', () => {
  const now = Date.now();
  assert.equal(retryAfterMs({ headers: { 'retry-after': '7' } }), 7000);
  assert.equal(retryAfterMs({ headers: { 'retry-after': new Date(now + 9000).toUTCString() } }, Math.floor(now / 1000) * 1000), 9000);
  assert.equal(retryAfterMs({ headers: { 'retry-after': 'soon' } }), undefined);
  assert.equal(retryAfterMs({ headers: { 'retry-after': '1e30' } }), 365 * 86_400_000); // the hub takes no longer wait
  assert.equal(outcomeOf({ statusCode: 503, headers: { 'retry-after': '7' } }, { rule: 'message' }).delayMs, 7000);
  assert.equal(outcomeOf({ headers: { 'retry-after': '7' } }, { rule: 'retry' }).delayMs, undefined);
  assert.equal(outcomeOf({ statusCode: 503, headers: { 'retry-after': '7' } }, { rule: 'message', delayMs: 120_000 }).delayMs, 120_000);
});

test('the wait of a result node is one that the hub takes', () => {
  assert.deepEqual(['2m', 7, '0.5', 0.0004, '', undefined].map(delayOf), [120_000, 7000, 500, 0, undefined, undefined]);
  for (const wrong of ['soon', -1, NaN, {}, true, '366d', Infinity]) {
    assert.throws(() => delayOf(wrong), { code: 'HQ_INVALID' }, String(wrong));
  }
});

test('errors of any shape become words', () => {
  assert.equal(errorText({ error: 'text' }), 'text');
  assert.equal(errorText({ error: new Error('an Error') }), 'an Error');
  assert.equal(errorText({ error: { message: 'from Catch', code: 'ECONNRESET', source: { id: 'x' } } }), 'ECONNRESET: from Catch');
  assert.equal(errorText({ error: { odd: 1 } }), '{"odd":1}');
  assert.equal(errorText({ statusCode: 503 }), 'HTTP 503');
  assert.equal(errorText({ statusCode: 'ECONNREFUSED' }), 'ECONNREFUSED');
  assert.equal(errorText({}), 'the flow failed');
  assert.equal(errorText({ error: 'x'.repeat(9000) }).length, 4000);
  const circle = {};
  circle.self = circle;
  const odd = [circle, { n: 1n }, { get message() { throw new Error('no'); } }, Object.create(null), Symbol('s'), 5, true, new Map(), () => 1, `${'x'.repeat(3999)}𝄞`];
  for (const error of odd) {
    const text = errorText({ error });
    assert.ok(text.length > 0 && text.isWellFormed(), text);
  }
  assert.equal(errorText({ error: 5 }), '5');
});

test('outcomes are commands of the hub', () => {
  const job = { id: 'j', token: 't' };
  assert.deepEqual(commandOf(job, { kind: 'complete', result: 1 }), ['ACK', { id: 'j', token: 't', result: 1 }]);
  assert.deepEqual(commandOf(job, { kind: 'retry', error: 'e' }), ['FAIL', { id: 'j', token: 't', error: 'e' }]);
  const [name, { settlements }] = commandOf(job, { kind: 'retry', error: 'e', delayMs: 5 });
  assert.deepEqual([name, settlements], ['Settle', [{ id: 'j', token: 't', outcome: 'retry', error: 'e', delay: 5 }]]);
  assert.equal(commandOf(job, { kind: 'reject', error: 'e' })[1].unrecoverable, true);
  assert.deepEqual(commandOf(job, { kind: 'release' }), ['Release', { id: 'j', token: 't', delay: 0 }]);
});

const JOB = { id: 'j', queue: 'q', name: 'default', data: 1, attempts: 0, stallCount: 0, lostCount: 0, maxAttempts: 3, priority: 0, createdAt: 5, tags: [] };

test('topic, headers and tags go through the name and tags of a job', () => {
  const kept = marks({ topic: 'a/b', headers: { h: '1=2' }, tags: ['t'] });
  assert.deepEqual(kept, { name: 'a/b', tags: ['header:h=1=2', 't'] });
  const msg = jobMessage({ ...JOB, ...kept }, 'lease', { server: 's', timeoutMs: 0 });
  assert.deepEqual([msg.topic, msg.job.headers, msg.job.tags, msg.job.token, msg.job.deadline], ['a/b', { h: '1=2' }, ['t'], 'lease', undefined]);
  const long = 'x'.repeat(300);
  assert.equal(jobMessage({ ...JOB, ...marks({ topic: long }) }, 'l', { server: 's', timeoutMs: 0 }).topic, long);
  assert.equal(jobMessage(JOB, 'l', { server: 's', timeoutMs: 0 }).topic, 'q');
});

const TEXTS = ['', 'a', 'default', 'a=b', '=', 'header:x=1', 'node-red:message', 'node-red:kept:zzz', 'ä𝄞', '𝄞'.repeat(256), 'x'.repeat(256), 'y'.repeat(257), 'z'.repeat(3000), 'a\nb\0'];
const VALUES = [...TEXTS, 0, 7, -1.5, true, null, { deep: ['=', { n: 1 }] }, [1], Buffer.from([0, 255]), new Date(5), 2n ** 63n];

test('topic, headers and tags come back as they were, and fit what the hub takes', () => {
  const random = chance(8);
  const pick = (list) => list[Math.floor(random() * list.length)];
  const some = (make) => Array.from({ length: Math.floor(random() * 4) }, make);
  for (let round = 0; round < 2000; round += 1) {
    const given = { topic: pick(VALUES), headers: Object.fromEntries(some(() => [pick(TEXTS), pick(VALUES)])), tags: some(() => pick(TEXTS)), whole: random() < 0.3 };
    const kept = marks(given);
    assert.ok([...kept.name].length >= 1 && [...kept.name].length <= 256);
    assert.ok((kept.tags || []).length <= 100 && (kept.tags || []).every((tag) => [...tag].length <= 256));
    const data = given.whole ? { payload: 1, topic: given.topic } : 1;
    const { topic, payload, job } = jobMessage({ ...JOB, ...kept, data }, 'l', { server: 's', timeoutMs: 0 });
    const unnamed = !given.whole && (given.topic === '' || given.topic === null);
    assert.deepStrictEqual([payload, topic], [1, unnamed ? 'q' : given.topic]);
    assert.deepStrictEqual(job.headers ?? {}, given.headers);
    assert.deepStrictEqual([...(job.tags ?? [])].sort(), [...given.tags].sort());
  }
});

test('what is too much for tags is told, but a whole message has any topic', () => {
  for (const given of [{ topic: 'x'.repeat(50_000) }, { headers: { h: 'x'.repeat(50_000) } }, { tags: Array(101).fill('t') }]) {
    assert.throws(() => marks(given), (error) => error.code === 'HQ_INVALID' && /payload/.test(error.message));
  }
  assert.deepEqual(marks({ topic: 'x'.repeat(50_000), whole: true }), { name: 'default', tags: ['node-red:message'] });
});

test('tags of others that look like ours do not stop a worker', () => {
  for (const odd of ['', '%%%', 'wA==', 'AQ==', Buffer.from('\x81\xa4tags\x01', 'latin1').toString('base64')]) {
    const { job, topic } = jobMessage({ ...JOB, tags: [`node-red:kept:${odd}`, 't'] }, 'l', { server: 's', timeoutMs: 0 });
    assert.deepEqual([topic, job.tags], ['q', ['t']]);
  }
});

test('a stored message does not say how its next attempt ends', () => {
  const stored = { payload: 1, topic: 't', error: { message: 'old' }, statusCode: 503, headers: { 'retry-after': '60', other: 'x' } };
  const before = structuredClone(stored);
  const msg = jobMessage({ ...JOB, data: stored, tags: ['node-red:message'] }, 'l', { server: 's', timeoutMs: 0 });
  assert.deepEqual(outcomeOf(msg, { rule: 'message' }), { kind: 'complete' });
  assert.deepEqual(msg.job.earlier, { error: { message: 'old' }, statusCode: 503, retryAfter: '60' });
  assert.deepEqual([msg.payload, msg.topic, msg.headers], [1, 't', { other: 'x' }]);
  assert.deepEqual(stored, before);
  for (const now of [{ error: { message: 'new' } }, { statusCode: 503 }]) {
    assert.deepEqual(outcomeOf({ ...msg, ...now }, { rule: 'message' }).delayMs, undefined);
    assert.equal(outcomeOf({ ...msg, ...now }, { rule: 'message' }).kind, 'retry');
  }
  assert.equal(jobMessage({ ...JOB, data: { error: 'data' } }, 'l', { server: 's', timeoutMs: 0 }).payload.error, 'data');
});

test('a job that came back says so, whatever brought it back', () => {
  const redelivered = (more) => jobMessage({ ...JOB, ...more }, 'l', { server: 's', timeoutMs: 0 }).job.redelivered;
  assert.equal(redelivered({}), false);
  for (const more of [{ attempts: 1 }, { stallCount: 1 }, { lostCount: 1 }]) {
    assert.equal(redelivered(more), true);
  }
});

test('a job that is kept trying has no number of attempts', () => {
  const { job } = jobMessage({ ...JOB, maxAttempts: 2147483647 }, 'l', { server: 's', timeoutMs: 0 });
  assert.deepEqual(['attempts' in job, job.attemptsMade], [false, 0]);
});

test('msg.job is plain JSON', () => {
  const { job } = jobMessage({ ...JOB, groupId: 'k' }, 'l', { server: 's', timeoutMs: 10, nowMs: 1 });
  assert.deepEqual(JSON.parse(JSON.stringify(job)), job);
  assert.deepEqual([job.group, job.deadline], ['k', 11]);
});

test('durations are read as people write them', () => {
  const cases = { '500ms': 500, '30s': 30_000, '1.5 min': 90_000, '2h': 7_200_000, '1d': 86_400_000 };
  for (const [written, ms] of Object.entries(cases)) {
    assert.equal(toMs(written, 'x'), ms);
  }
  assert.equal(toMs('30', 'x', { bare: 's' }), 30_000);
  assert.equal(toMs(30, 'x'), 30);
  assert.equal(toMs('', 'x'), undefined);
  for (const wrong of ['30', 'soon', -1, NaN, {}]) {
    assert.throws(() => toMs(wrong, 'x'), { code: 'HQ_INVALID' });
  }
  assert.deepEqual([brief(250), brief(30_000), brief(90_000), brief(7_200_000)], ['250ms', '30s', '2m', '2h']);
});

test('control does what is in its table and nothing else', async () => {
  const asked = [];
  const ask = async (cmd, fields) => {
    asked.push([cmd, fields]);
    return { ok: true, count: 2, counts: {}, stats: {} };
  };
  await assert.rejects(act(ask, 'Obliterate', { queue: 'q' }), { code: 'HQ_INVALID' });
  await assert.rejects(act(ask, 'constructor', {}), { code: 'HQ_INVALID' });
  await assert.rejects(act(ask, 'pause', {}), { code: 'HQ_INVALID' });
  await assert.rejects(act(ask, 'purge', { queue: 'q' }), { code: 'HQ_CONFIRM' });
  await assert.rejects(act(ask, 'purge', { queue: 'q', what: 'toString', confirm: true }), { code: 'HQ_INVALID' });
  assert.deepEqual(asked, []);
  assert.deepEqual(await act(ask, 'purge', { queue: 'q', confirm: true }), { queue: 'q', count: 2 });
  assert.deepEqual(await act(ask, 'retryDead', { queue: 'q', limit: 5 }), { queue: 'q', count: 2 });
  await act(ask, 'setRate', { queue: 'q', limit: null });
  assert.deepEqual(asked.map(([cmd]) => cmd), ['PurgeDlq', 'RetryDlq', 'RateLimitClear']);
  assert.ok(Object.keys(ACTIONS).length >= 13);
});

test('events speak the words of the nodes', () => {
  assert.equal(kindOf({ eventType: 'pushed' }), 'enqueued');
  assert.equal(kindOf({ eventType: 'pulled' }), 'active');
  assert.equal(kindOf({ eventType: 'failed', terminal: true }), 'failed');
  assert.equal(kindOf({ eventType: 'failed' }), 'failed'); // as the hub says of a job whose last lease ran out
  assert.equal(kindOf({ eventType: 'failed', terminal: false }), 'delayed');
  assert.equal(kindOf({ eventType: 'retried' }), undefined);
  assert.equal(kindOf({ eventType: 'waiting' }), 'waiting');
  assert.equal(kindOf({ eventType: 'expired' }), 'expired');
  const msg = eventMessage({ eventType: 'pushed', queue: 'q', jobId: 'j', timestamp: 1 }, { kind: 'enqueued', seq: 3, server: 's' });
  assert.deepEqual(msg, { topic: 'enqueued', payload: { kind: 'enqueued', queue: 'q', id: 'j', at: 1, seq: 3 }, job: { id: 'j', queue: 'q', server: 's' } });
});

test('a forwarded message ends as delivered, failed, expired or dropped, and not before', () => {
  const ends = [
    [{ eventType: 'forwarded' }, 'delivered'],
    [{ eventType: 'failed', terminal: true }, 'failed'],
    [{ eventType: 'rejected' }, undefined], // told once, by the failure
    [{ eventType: 'failed', terminal: false }, undefined],
    [{ eventType: 'failed' }, 'failed'],
    [{ eventType: 'removed' }, 'expired'],
    [{ eventType: 'evicted' }, 'dropped'],
    [{ eventType: 'pulled' }, undefined],
  ];
  for (const [event, end] of ends) {
    assert.equal(endOf(event), end, JSON.stringify(event));
  }
});

test('a queue that empties or crosses the threshold is told once', () => {
  const at = (waiting, active = 0) => figuresOf({ name: 'q', waiting, active });
  const kinds = (before, now) => crossings(before, now, 5).map(({ kind, above }) => (above === undefined ? kind : `${kind} ${above}`));
  assert.deepEqual(kinds(undefined, at(0)), []);
  assert.deepEqual(kinds(undefined, at(7)), ['threshold true']);
  assert.deepEqual(kinds(at(4), at(5)), ['threshold true']);
  assert.deepEqual(kinds(at(5), at(6)), []);
  assert.deepEqual(kinds(at(5), at(4)), ['threshold false']);
  assert.deepEqual(kinds(at(1), at(0, 1)), []);
  assert.deepEqual(kinds(at(0, 1), at(0)), ['empty']);
  assert.deepEqual(kinds(at(0), at(0)), []);
});

test('queue patterns match whole names', () => {
  assert.ok(patternOf('sensors.*').test('sensors.hall'));
  assert.ok(!patternOf('sensors.*').test('sensorsXhall'));
  assert.ok(!patternOf('a*').test('ba'));
});

test('the host is this machine, or the hubqueue app where the Supervisor knows it', async (t) => {
  assert.deepEqual(await hostsOf('set', { env: { SUPERVISOR_TOKEN: 'x' } }), ['set']);
  assert.deepEqual(await hostsOf('', { env: {} }), ['127.0.0.1']);
  const seen = [];
  const addons = [
    { slug: 'core_mosquitto', state: 'started' },
    { slug: 'a1b2c3d4_hubqueue', state: 'stopped' },
    { slug: 'local_hubqueue', state: 'started' },
  ];
  const supervisor = http.createServer((request, response) => {
    seen.push([request.url, request.headers.authorization]);
    response.end(JSON.stringify({ result: 'ok', data: { addons } }));
  });
  await new Promise((resolve) => supervisor.listen(0, '127.0.0.1', resolve));
  t.after(() => supervisor.close());
  const at = `http://127.0.0.1:${supervisor.address().port}`;
  assert.deepEqual(await hostsOf('', { env: { SUPERVISOR_TOKEN: 'tok' }, supervisor: at }), ['local-hubqueue', 'a1b2c3d4-hubqueue']);
  assert.deepEqual(seen, [['/addons', 'Bearer tok']]);
  const nowhere = await hostsOf('', { env: { SUPERVISOR_TOKEN: 'tok' }, supervisor: 'http://127.0.0.1:1' });
  assert.deepEqual(nowhere, ['local-hubqueue', '127.0.0.1']);
});
