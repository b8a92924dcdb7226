'use strict';
/**
 * The nodes in Node-RED's test helper, on the Node-RED that NODE_RED_PACKAGE names, against the hub at HUB_PORT.
 * Every test has queues of its own.
 */

const assert = require('node:assert/strict');
const path = require('node:path');
const { after, afterEach, before, beforeEach, test } = require('node:test');
const helper = require('node-red-node-test-helper');

const RED = process.env.NODE_RED_PACKAGE;
const hubqueue = require(path.join(__dirname, '..', '..', '..', 'nodes', 'nodes', 'hubqueue.js'));
const core = (file) => require(require.resolve(`@node-red/nodes/core/${file}`, { paths: [path.dirname(require.resolve(RED))] }));
const PORT = process.env.HUB_PORT;

const SERVER = { id: 'hub', type: 'hubqueue-server', name: '', host: '127.0.0.1', port: PORT };
const TAB = { id: 't', type: 'tab', label: 't' };
let queue = '';
let number = 0;

const node = (id, type, wires, fields = {}) => ({ id, type, z: 't', x: 1, y: 1, wires: [wires], ...fields });
const enqueue = (id, wires, fields = {}) => node(id, 'hubqueue-enqueue', wires, { server: 'hub', queue, queueType: 'str', ...fields });
const worker = (id, wires, fields = {}) => node(id, 'hubqueue-worker', wires, { server: 'hub', queue, queueType: 'str', concurrency: '1', timeout: '5m', ...fields });
const result = (id, wires, fields = {}) => node(id, 'hubqueue-result', wires, { outcome: 'complete', ...fields });
const sink = (id) => node(id, 'helper', []);
const func = (id, code, wires, fields = {}) => node(id, 'function', wires, { func: code, outputs: 1, ...fields });

/** The next message of a helper node. */
const next = (id, wanted = () => true) =>
  new Promise((resolve) => {
    const hear = (msg) => (wanted(msg) ? resolve(msg) : helper.getNode(id).once('input', hear));
    helper.getNode(id).once('input', hear);
  });
const load = (flow, credentials = {}) => helper.load([hubqueue, core('function/10-function.js')], [TAB, SERVER, ...flow], credentials);
/** What a node has shown; the helper's spy is one for all nodes. */
const statuses = (id) => {
  const mine = helper.getNode(id);
  return mine.status.getCalls().filter((call) => call.thisValue === mine).map(({ args: [status] }) => status);
};
const until = async (condition, what) => {
  const end = Date.now() + 15_000;
  while (!(await condition())) {
    assert.ok(Date.now() < end, what);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};
const connected = () => until(() => helper.getNode('hub').hub.up, 'the hub is connected');

before(() => helper.init(require.resolve(RED)));
beforeEach((context, done) => {
  number += 1;
  queue = `h${process.pid}-${number}`;
  helper.startServer(done);
});
afterEach(async () => {
  await helper.unload();
  await new Promise((resolve) => helper.stopServer(resolve));
});
after(() => setImmediate(() => process.exit()));

test('a message is stored, worked on and completed', async () => {
  await load([enqueue('put', ['stored']), sink('stored'), worker('work', ['end']), result('end', ['done']), sink('done')]);
  const stored = next('stored');
  const done = next('done');
  helper.getNode('put').receive({ payload: { n: 1 }, topic: 'a/b' });
  const receipt = await stored;
  assert.equal(receipt.enqueued.duplicate, false);
  assert.deepEqual(receipt.payload, { n: 1 });
  const msg = await done;
  assert.deepEqual([msg.payload, msg.topic, msg.job.outcome, msg.job.id], [{ n: 1 }, 'a/b', 'complete', receipt.enqueued.id]);
  assert.equal(msg.job.token, undefined);
});

test('Complete means that the message is stored', async () => {
  await load([enqueue('put', []), node('complete', 'complete', ['seen'], { scope: ['put'] }), sink('seen')]);
  const seen = next('seen');
  helper.getNode('put').receive({ payload: 1 });
  const msg = await seen;
  const { job } = await helper.getNode('hub').hub.ask('GetJob', { id: msg.enqueued.id });
  assert.equal(job.data, 1);
});

test('a queue is read from the message, the flow, the environment or an expression', async () => {
  const typed = [
    ['payload.to', 'msg', { payload: { to: `${queue}-msg` } }],
    ['target', 'flow', { payload: 1 }],
    ['HUB_QUEUE_OF_TEST', 'env', { payload: 1 }],
    ['"x-" & topic', 'jsonata', { payload: 1, topic: queue }],
  ];
  const expected = [`${queue}-msg`, `${queue}-flow`, `${queue}-env`, `x-${queue}`];
  process.env.HUB_QUEUE_OF_TEST = `${queue}-env`;
  await load(typed.flatMap(([value, type], at) => [enqueue(`put${at}`, [`seen${at}`], { queue: value, queueType: type }), sink(`seen${at}`)]));
  helper.getNode('put1').context().flow.set('target', `${queue}-flow`);
  for (const [at, [, , msg]] of typed.entries()) {
    const seen = next(`seen${at}`);
    helper.getNode(`put${at}`).receive(msg);
    assert.equal((await seen).enqueued.queue, expected[at]);
  }
});

test('messages keep their order although their fields are read one after another', async () => {
  await load([enqueue('put', ['seen'], { group: 'payload', groupType: 'jsonata' }), sink('seen')]);
  const seen = [];
  helper.getNode('seen').on('input', (msg) => seen.push(msg.payload));
  for (let n = 0; n < 50; n += 1) {
    helper.getNode('put').receive({ payload: String(n) });
  }
  await until(() => seen.length === 50, 'all are stored');
  assert.deepEqual(seen, Array.from({ length: 50 }, (_, n) => String(n)));
  const { jobs } = await helper.getNode('hub').hub.ask('GetJobs', { queue });
  assert.deepEqual(jobs.map(({ data }) => data), seen);
});

test('an expression can be stored, and duplicates of a key are told', async () => {
  await load([enqueue('put', ['seen'], { store: 'jsonata', expression: '{"twice": payload * 2}', dedup: 'k', dedupType: 'str' }), sink('seen')]);
  const receipts = [];
  for (const n of [1, 2]) {
    const seen = next('seen');
    helper.getNode('put').receive({ payload: n });
    receipts.push((await seen).enqueued);
  }
  assert.deepEqual(receipts.map(({ duplicate }) => duplicate), [false, true]);
  assert.equal(receipts[0].id, receipts[1].id);
  assert.deepEqual((await helper.getNode('hub').hub.ask('GetJob', { id: receipts[0].id })).job.data, { twice: 2 });
});

test('what cannot be stored goes to Catch with its code', async () => {
  await load([enqueue('put', []), enqueue('nowhere', [], { queue: '' }), node('catch', 'catch', ['seen'], { scope: null }), sink('seen')]);
  await connected();
  for (const [id, payload, code] of [['put', new Map(), 'HQ_UNENCODABLE'], ['put', Buffer.alloc(11 * 1024 * 1024), 'HQ_TOO_LARGE'], ['nowhere', 1, 'HQ_NO_QUEUE']]) {
    const seen = next('seen');
    helper.getNode(id).receive({ payload });
    assert.equal((await seen).error.code, code);
  }
});

test('no more jobs are out than the concurrency allows', async () => {
  await load([enqueue('put', []), worker('work', ['hold'], { concurrency: '2' }), sink('hold'), result('end', [])]);
  const held = [];
  await connected();
  helper.getNode('hold').on('input', (msg) => held.push(msg));
  for (let n = 0; n < 6; n += 1) {
    helper.getNode('put').receive({ payload: n });
  }
  for (const most of [2, 3, 4, 5, 6]) {
    await until(() => held.length === most, `${most} jobs were sent`);
    const { counts } = await helper.getNode('hub').hub.ask('GetJobCounts', { queue });
    assert.equal(counts.active, 2);
    await until(() => most > 2 || statuses('work').some(({ text }) => text === '2/2'), 'it is shown');
    helper.getNode('end').receive(held[most - 2]);
  }
});

for (const [what, code, expected] of [
  ['a circle', 'msg.payload = {}; msg.payload.me = msg.payload;', 'HQ_UNENCODABLE'],
  ['12 MB', 'msg.payload = Buffer.alloc(12e6);', 'HQ_TOO_LARGE'],
  ['10 MB, which only the hub can tell', 'msg.payload = [Buffer.alloc(10 * 1024 * 1024 - 2)];', 'HQ_TOO_LARGE'],
  ['a Map', 'msg.payload = {m: new Map()};', 'HQ_UNENCODABLE'],
]) {
  test(`a job whose result cannot be stored (${what}) is completed without it, and says so`, async () => {
    await load([
      worker('work', ['make']),
      func('make', `${code} return msg;`, ['end']),
      result('end', ['seen']),
      sink('seen'),
      node('catch', 'catch', ['bad'], { scope: null }),
      sink('bad'),
      node('complete', 'complete', ['done'], { scope: ['end'] }),
      sink('done'),
      enqueue('put', []),
    ]);
    const seen = next('seen');
    const done = next('done');
    const bad = [];
    helper.getNode('bad').on('input', (msg) => bad.push(msg));
    helper.getNode('put').receive({ payload: 1 });
    const { job } = await seen;
    await done;
    assert.deepEqual([job.outcome, job.resultError.code, job.token], ['complete', expected, undefined]);
    assert.deepEqual(statuses('end').at(-1), { fill: 'yellow', shape: 'ring', text: 'hubqueue.status.noResult' });
    assert.ok(helper.log().args.some(([{ id, level, msg }]) => id === 'end' && level === 30 && /noResult/.test(msg)), 'it warns');
    assert.deepEqual(bad, []);
    const stored = (await helper.getNode('hub').hub.ask('GetJob', { id: job.id })).job;
    assert.deepEqual([stored.state, stored.attempts], ['completed', 0]);
  });
}

test('a result that cannot even be asked for completes its job without it', async () => {
  await load([worker('work', ['end']), result('end', ['seen'], { result: '$error("no")', resultType: 'jsonata' }), sink('seen'), enqueue('put', [])]);
  const seen = next('seen');
  helper.getNode('put').receive({ payload: 1 });
  const { job } = await seen;
  assert.equal(job.outcome, 'complete');
  assert.match(job.resultError.message, /no/);
});

test('an empty text is a result', async () => {
  await load([worker('work', ['end']), result('end', ['seen']), sink('seen'), enqueue('put', [])]);
  const seen = next('seen');
  helper.getNode('put').receive({ payload: '' });
  const { job } = await seen;
  assert.equal((await helper.getNode('hub').hub.ask('GetResult', { id: job.id })).result, '');
});

test('msg.enqueue that is no object is told in words', async () => {
  await load([
    enqueue('put', []),
    node('send', 'hubqueue-forward', [], { server: 'hub', to: 'tcp://127.0.0.1:1', queue: `${queue}-f`, dedup: '', dedupType: 'str', wires: [[], []] }),
    node('ask', 'hubqueue-control', [], { server: 'hub', action: 'stats', queue: '', queueType: 'str' }),
    node('catch', 'catch', ['seen'], { scope: null }),
    sink('seen'),
  ]);
  await connected();
  for (const id of ['put', 'send', 'ask']) {
    for (const wrong of [null, 'mail', ['mail'], 5]) {
      const seen = next('seen', ({ payload }) => payload.state !== 'link'); // of the forward node's target, which is away
      helper.getNode(id).receive({ payload: {}, enqueue: wrong });
      const { error } = await seen;
      assert.equal(error.code, 'HQ_INVALID');
      assert.match(error.message, /: msg\.enqueue must be an object/);
    }
  }
});

test('progress is told and keeps the job', async () => {
  await load([worker('work', ['half']), result('half', ['seen'], { outcome: 'progress', progress: '50', progressType: 'num' }), sink('seen'), enqueue('put', [])]);
  const seen = next('seen');
  helper.getNode('put').receive({ payload: 1 });
  const { job } = await seen;
  assert.ok(job.token);
  const { hub } = helper.getNode('hub');
  assert.equal((await hub.ask('GetJob', { id: job.id })).job.progress, 50);
});

test('a retry waits as long as it is told', async () => {
  await load([worker('work', ['again']), result('again', ['seen'], { outcome: 'retry', delay: '1h', delayType: 'str', error: 'later', errorType: 'str' }), sink('seen'), enqueue('put', [])]);
  const seen = next('seen');
  helper.getNode('put').receive({ payload: 1 });
  const { job } = await seen;
  assert.equal(job.outcome, 'retry');
  const stored = (await helper.getNode('hub').hub.ask('GetJob', { id: job.id })).job;
  assert.deepEqual([stored.state, stored.attempts], ['delayed', 1]);
  assert.ok(stored.runAt - Date.now() > 3_500_000);
  assert.deepEqual(statuses('again').at(-1), { fill: 'yellow', shape: 'ring', text: 'hubqueue.status.retry 1h' });
});

test('a result without a job, or with another one, is an error', async () => {
  await load([result('end', []), node('catch', 'catch', ['seen'], { scope: ['end'] }), sink('seen'), worker('work', [])]);
  await connected();
  const cases = [
    [{ payload: 1 }, 'HQ_NO_JOB'],
    [{ job: { id: 'j', token: 'l', server: 'gone' } }, 'HQ_UNKNOWN_SERVER'],
    [{ job: { id: 'j', token: '1.abc', server: 'hub' } }, 'HQ_LEASE_LOST'],
  ];
  for (const [msg, code] of cases) {
    const seen = next('seen');
    helper.getNode('end').receive(msg);
    assert.equal((await seen).error.code, code);
  }
});

test('a worker that is wired to nothing takes no jobs', async () => {
  await load([worker('work', []), enqueue('put', ['seen']), sink('seen')]);
  const seen = next('seen');
  helper.getNode('put').receive({ payload: 1 });
  await seen;
  await until(() => statuses('work').at(-1)?.text === 'hubqueue.status.unwired', 'it says so');
  assert.equal((await helper.getNode('hub').hub.ask('GetJobCounts', { queue })).counts.waiting, 1);
});

test('nodes without a server say so, and do nothing', async () => {
  await load(['enqueue', 'worker', 'forward', 'control', 'events'].map((type) => node(type, `hubqueue-${type}`, [], { server: '' })));
  for (const type of ['enqueue', 'worker', 'forward', 'control', 'events']) {
    assert.deepEqual(statuses(type).at(-1), { fill: 'red', shape: 'ring', text: 'hubqueue.status.unconfigured' });
  }
});

test('a pattern takes the jobs of every queue that fits', async () => {
  await load([enqueue('put', [], { queue: '' }), worker('work', ['end'], { queue: `${queue}.*, ${queue}-fixed` }), result('end', ['seen']), sink('seen')]);
  const seen = [];
  helper.getNode('seen').on('input', (msg) => seen.push(msg.job.queue));
  for (const name of [`${queue}.a`, `${queue}.b`, `${queue}-fixed`, `other-${queue}`]) {
    helper.getNode('put').receive({ payload: 1, enqueue: { queue: name } });
  }
  await until(() => seen.length === 3, 'all that fit');
  assert.deepEqual(seen.sort(), [`${queue}-fixed`, `${queue}.a`, `${queue}.b`]);
});

test('the dialogs can test a connection and list queues', async () => {
  await load([enqueue('put', ['seen']), sink('seen')], { hub: { token: 'stored' } });
  const seen = next('seen');
  helper.getNode('put').receive({ payload: 1 });
  await seen;
  const good = await helper.request().post('/hubqueue/test').send({ id: 'hub', host: '127.0.0.1', port: PORT, token: '__PWRD__' });
  assert.deepEqual([good.body.ok, good.body.host], [true, '127.0.0.1']);
  const bad = await helper.request().post('/hubqueue/test').send({ host: '127.0.0.1', port: '1' });
  assert.deepEqual([bad.body.ok, bad.body.code], [false, 'ECONNREFUSED']);
  const { body } = await helper.request().get('/hubqueue/hub/queues');
  assert.ok(body.queues.includes(queue));
  assert.ok(!JSON.stringify([good.body, bad.body, body]).includes('stored'));
});

test('workers are paused and resumed by name', async () => {
  const ask = node('ask', 'hubqueue-control', ['answer'], { server: 'hub', action: '', queue: '', queueType: 'str' });
  await load([worker('work', ['end'], { name: 'mine', paused: true }), result('end', ['seen']), sink('seen'), enqueue('put', []), ask, sink('answer')]);
  helper.getNode('put').receive({ payload: 1 });
  await until(() => statuses('work').at(-1)?.text === 'hubqueue.status.paused', 'it is paused');
  const seen = next('seen');
  const answer = next('answer');
  helper.getNode('ask').receive({ action: 'resumeWorker', payload: { worker: 'mine' } });
  assert.deepEqual((await answer).payload, { worker: 'mine', paused: false, count: 1 });
  await seen;
});

for (const type of ['full', 'nodes']) {
  test(`a deploy (${type}) leaves nothing behind`, async () => {
    const flow = [worker('work', ['hold']), sink('hold'), enqueue('put', [])];
    await load(flow);
    const held = next('hold');
    helper.getNode('put').receive({ payload: 1 });
    const first = await held;
    const { hub } = helper.getNode('hub');
    await helper.setFlows([TAB, SERVER, worker('work', ['end'], { name: 'other' }), result('end', ['seen']), sink('seen'), sink('hold')], type);
    if (type === 'nodes') {
      assert.equal(helper.getNode('hub').hub, hub); // the link outlives it, and so does the lease
      helper.getNode('end').receive(first);
    } else {
      assert.equal(hub.link.state, 'down');
    }
    const msg = await next('seen');
    assert.deepEqual([msg.job.outcome, msg.job.attemptsMade], ['complete', 0]);
    assert.deepEqual(Object.keys(helper.getNode('hub').users), ['work']);
  });
}

test('a job whose message cannot be made, as the link breaks, comes again', async () => {
  await load([worker('work', ['end']), result('end', ['done']), sink('done')]);
  await connected();
  const { hub } = helper.getNode('hub');
  let broken = false;
  hub.ask = function breakOnce(...asked) {
    if (asked[0] === 'GetChildrenValues' && !broken) {
      broken = true;
      hub.link.socket.destroy();
    }
    return Object.getPrototypeOf(hub).ask.apply(hub, asked);
  };
  const done = next('done');
  await hub.ask('PUSH', { queue: `${queue}-parts`, data: 1, jobId: `${queue}-part` });
  await hub.ask('PUSH', { queue, data: 2, dependsOn: [`${queue}-part`], childrenIds: [`${queue}-part`] });
  const { job, token } = await hub.ask('PULL', { queue: `${queue}-parts` });
  await hub.ask('ACK', { id: job.id, token, result: 'r' });
  const msg = await done;
  assert.deepEqual([broken, msg.payload, Object.values(msg.children), msg.job.attemptsMade], [true, 2, ['r'], 0]);
});
