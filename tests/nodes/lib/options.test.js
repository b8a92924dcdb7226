'use strict';
/** The options of a job: every one of the table is read from msg.enqueue within its bounds, and goes to the hub and back. */

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { lib } = require('./support');
const { OPTIONS } = lib('options');
const { askedOf, pushFields, receipt } = lib('pushing');
const { jobMessage } = lib('jobs');
const { jobOf, statesAsked } = lib('wirenames');
const { options: TABLE } = require('../../../nodes/resources/options');

const of = (asked, set = {}, more = {}) => pushFields({ set: { queue: 'q', ...set }, asked: askedOf({ enqueue: asked }), data: {}, ...more });
const refused = (message) => ({ code: 'HQ_INVALID', message });

/** A value of each option that is not its default. */
const SAMPLES = {
  id: 'mine',
  priority: 5,
  delay: 5000,
  runAt: 1_900_000_000_000,
  attempts: 7,
  backoff: { type: 'fixed', delay: 1000, max: 9000, jitter: 0.5 },
  timeout: 60_000,
  ttl: 3_600_000,
  keepTrying: 86_400_000,
  stallTimeout: 30_000,
  lifo: true,
  durable: true,
  dedup: { key: 'k', ttl: 1000, extend: true, replace: true },
  removeOnComplete: true,
  removeOnFail: true,
  tags: ['a', 'b'],
  group: 'g',
  groupMaxSize: 100,
  dependsOn: ['x', 'y'],
  parent: { queue: 'up', id: 'above' },
  onFailure: 'ignore',
};
const NEEDS = { groupMaxSize: { group: 'g' }, onFailure: { parent: SAMPLES.parent } };

test('every option that the table does not leave out here is read, and no other', () => {
  assert.deepEqual(Object.keys(SAMPLES).sort(), OPTIONS.map(({ json }) => json).sort());
  for (const { json, absent } of TABLE.filter((option) => !(option.json in SAMPLES))) {
    const why = absent['node-red'];
    assert.throws(() => of({ [json]: 1 }), refused(`msg.enqueue has no option "${json}" (${why})`));
  }
});

for (const [name, value] of Object.entries(SAMPLES)) {
  test(`${name} goes to the hub under its name there, and comes back`, () => {
    const { option, fields } = { option: OPTIONS.find(({ json }) => json === name), fields: of({ [name]: value, ...NEEDS[name] }) };
    const wire = option.choices ? option.choices.find((choice) => choice.name === value).wire : option.wire;
    assert.ok((name === 'id' ? 'jobId' : wire) in fields, JSON.stringify(fields));
    assert.deepEqual(jobOf(fields)[name], value);
  });
}

test('the wire has the names of before: only the hub sees them', () => {
  const fields = of({ attempts: 7, group: 'g', dedup: SAMPLES.dedup, backoff: { max: 5 }, parent: SAMPLES.parent, onFailure: 'fail' });
  assert.deepEqual([fields.maxAttempts, fields.groupId, fields.uniqueKey, fields.backoff.maxDelay], [7, 'g', 'k', 5]);
  assert.deepEqual(fields.dedup, { ttl: 1000, extend: true, replace: true });
  assert.deepEqual([fields.parentId, fields.failParentOnFailure], ['above', true]);
  assert.deepEqual(fields.data, { __parentId: 'above', __parentQueue: 'up' });
  assert.deepEqual(of({ dependsOn: ['x'] }).childrenIds, ['x']);
  for (const name of ['attempts', 'group', 'parent', 'onFailure', 'id']) {
    assert.equal(name in fields, false);
  }
});

test('a job of the hub has the names of the table, and nothing of the protocol', () => {
  const found = {
    ...{ id: 'mine', queue: 'q', name: 'n', data: { own: 1, __parentId: 'above', __parentQueue: 'up', __childrenIds: ['x'] }, priority: 5 },
    ...{ createdAt: 1, runAt: 1, attempts: 2, maxAttempts: 3, customId: 'mine', state: 'prioritized', timeline: [{ state: 'prioritized', timestamp: 1 }] },
    ...{ backoff: 1000, backoffConfig: { type: 'fixed', delay: 1000, maxDelay: 9000, jitter: 0.5 }, uniqueKey: 'k', parentId: 'above', groupId: 'g' },
    ...{ deduplicationTtl: null, deduplicationExtend: false, deduplicationReplace: true, debounceId: null, debounceTtl: null, keepLogs: null, sizeLimit: null },
    ...{ dependsOn: ['x'], childrenIds: ['x'], tags: [], durable: false, lifo: false, ttl: null, failParentOnFailure: false, ignoreDependencyOnFailure: true },
  };
  assert.deepEqual(jobOf(found), {
    ...{ id: 'mine', queue: 'q', name: 'n', data: { own: 1 }, priority: 5, createdAt: 1, runAt: 1, attempts: 3, attemptsMade: 2 },
    ...{ state: 'waiting', timeline: [{ state: 'waiting', timestamp: 1 }], backoff: SAMPLES.backoff, dedup: { key: 'k', replace: true } },
    ...{ parent: { queue: 'up', id: 'above' }, group: 'g', dependsOn: ['x'], childrenIds: ['x'], onFailure: 'ignore' },
  });
  assert.deepEqual(jobOf({ id: 'j', data: { __parentId: 'own' }, parentId: null }).data, { __parentId: 'own' }); // no flow's
});

test('numbers, texts and lists are taken up to their bound and not beyond', () => {
  for (const { json, kind, min, max, maxLength } of OPTIONS.filter(({ min }) => min !== undefined)) {
    const at = { integer: (n) => n, duration: (n) => n, time: (n) => n, text: (n) => 'x'.repeat(n), texts: (n) => Array(n).fill('x') }[kind];
    const beyond = { texts: () => ['x'.repeat(maxLength + 1)] }[kind] ?? (() => at(max + 1));
    if (json === 'tags') {
      continue; // more of them and longer ones are kept in pieces
    }
    of({ [json]: at(max), ...NEEDS[json] });
    of({ [json]: at(min), ...NEEDS[json] });
    assert.throws(() => of({ [json]: beyond(), ...NEEDS[json] }), { code: 'HQ_INVALID', message: new RegExp(json) }, json);
    if (min > 0 && kind !== 'text') {
      assert.throws(() => of({ [json]: at(min - 1), ...NEEDS[json] }), { code: 'HQ_INVALID', message: new RegExp(json) }, json);
    }
  }
  assert.equal(of({ group: '𝄞'.repeat(256) }).groupId.length, 512); // characters, not halves
});

test('a field of the node wins, a blank one is taken from the message, of a map part by part', () => {
  const asked = { queue: 'asked', priority: 7, delay: '5m', group: 'k', dedup: { key: 'a', ttl: '1h' }, backoff: { type: 'fixed', delay: '2s' } };
  const fields = of(asked, { queue: 'set', priority: '1', dedup: { key: 'b', replace: true }, backoff: 5000 }, { topic: 't' });
  assert.deepEqual([fields.queue, fields.priority, fields.delay, fields.groupId, fields.name], ['set', 1, 300_000, 'k', 't']);
  assert.deepEqual([fields.uniqueKey, fields.dedup], ['b', { ttl: 3_600_000, replace: true }]);
  assert.deepEqual([fields.backoff.type, fields.backoff.delay], ['fixed', 5000]);
  assert.equal(of({ keepTrying: '1d' }, { keepTrying: 5000 }).keepTrying, 5000);
  assert.match(fields.jobId, /^once:[0-9a-f-]{36}$/);
  assert.throws(() => pushFields({ set: {}, data: 1 }), { code: 'HQ_NO_QUEUE' });
});

test('a job is synced to the disk unless the message says otherwise', () => {
  assert.equal(of({}).durable, true);
  assert.equal(of({ durable: false }).durable, false);
});

test('an option that does not exist is named, with the one that may be meant', () => {
  const refusals = [
    [{ prioritiy: 1 }, 'msg.enqueue has no option "prioritiy" (priority is meant?)'],
    [{ attempt: 1 }, 'msg.enqueue has no option "attempt" (attempts is meant?)'],
    [{ maxAttempts: 1 }, 'msg.enqueue has no option "maxAttempts" (attempts is meant?)'],
    [{ groupId: 'g' }, 'msg.enqueue has no option "groupId" (group is meant?)'],
    [{ uniqueKey: 'k' }, 'msg.enqueue has no option "uniqueKey" (dedup is meant?)'],
    [{ run_at: 1 }, 'msg.enqueue has no option "run_at" (runAt is meant?)'],
    [{ failParentOnFailure: true }, 'msg.enqueue has no option "failParentOnFailure" (onFailure is meant?)'],
    [{ key: 'k' }, 'msg.enqueue has no option "key" (group (jobs that keep their order) or dedup.key is meant?)'],
    [{ dedupe: 'k' }, 'msg.enqueue has no option "dedupe" (dedup is meant?)'],
    [{ depends: [] }, 'msg.enqueue has no option "depends" (dependsOn is meant?)'],
    [{ ['x'.repeat(10_000)]: 1 }, /has no option "x{99} \(there are queue, headers, id, priority, /],
  ];
  for (const [enqueue, message] of refusals) {
    assert.throws(() => askedOf({ enqueue }), refused(message));
  }
  assert.throws(() => of({ backoff: { dela: 1 } }), refused('backoff has no option "dela" (delay is meant?)'));
  assert.throws(() => of({ backoff: { maxDelay: 1 } }), refused('backoff has no option "maxDelay" (max is meant?)'));
  assert.throws(() => of({ dedup: { keys: 'k' } }), refused('dedup has no option "keys" (key is meant?)'));
});

test('what would be without effect is refused', () => {
  assert.throws(() => of({ dedup: { ttl: 5 } }), refused('dedup needs key (set it in the node, or in msg.enqueue.dedup.key)'));
  assert.throws(() => of({ parent: { id: 'x' } }), refused(/^parent needs queue/));
  assert.throws(() => of({ onFailure: 'fail' }), refused('onFailure needs parent too'));
  assert.throws(() => of({ groupMaxSize: 5 }), refused('groupMaxSize needs group too'));
  assert.throws(() => of({ group: 'k', priority: -1 }), refused(/negative/));
  assert.equal(of({ priority: -1 }).priority, -1);
  for (const data of [1, 'x', null, undefined, [], Buffer.from('x'), { __mine: 1 }]) {
    assert.throws(() => of({ parent: SAMPLES.parent }, {}, { data }), refused(/needs data that is an object/));
  }
});

test('the job that runs may be noted as the parent of a new one, which says nothing to the hub', () => {
  const noted = of({}, { noteParent: true }, { job: { id: 'j' }, data: 1 });
  assert.deepEqual([noted.parentId, noted.data, noted.noteParent], ['j', 1, undefined]);
  assert.equal(of({ parent: SAMPLES.parent }, { noteParent: true }, { job: { id: 'j' } }).parentId, 'above');
  assert.equal('parentId' in of({}, { noteParent: true }), false);
});

test('msg.enqueue is an object, and its parts are what they should be', () => {
  assert.deepEqual(askedOf({}), {});
  for (const enqueue of [null, 'mail', '', 5, true, [], ['mail'], Buffer.from('x'), new Date(), () => 1, Symbol('s')]) {
    assert.throws(() => askedOf({ enqueue }), refused(/^msg\.enqueue must be an object, not /));
  }
  assert.throws(() => askedOf({ enqueue: new Map() }), { code: 'HQ_UNENCODABLE' });
  assert.throws(() => askedOf({ enqueue: { group: '\ud800' } }), { code: 'HQ_UNENCODABLE' });
  const odd = [null, {}, [], [1], true, false, 'x', NaN, -1, 1.5, 1e300, Object.create(null), new Date(NaN), new Date(5), { type: {} }, { key: {} }, { id: [] }];
  for (const name of ['queue', 'headers', ...Object.keys(SAMPLES)]) {
    for (const value of odd) {
      try {
        pushFields({ set: name === 'queue' ? {} : { queue: 'q' }, asked: { [name]: value }, data: 1 });
      } catch (error) {
        assert.match(error.code, /^HQ_/, `${name}: ${String(error)}`);
      }
    }
  }
  const wrong = [
    ...[{ delay: 'soon' }, { runAt: 'never' }, { priority: 1.5 }, { priority: [] }, { priority: true }, { backoff: ['1s'] }, { backoff: { type: 'linear' } }],
    ...[{ dedup: ['k'] }, { dedup: true }, { dependsOn: 'x' }, { id: {} }, { headers: 'x' }, { headers: ['x'] }, { tags: 'urgent' }, { tags: [1] }],
    ...[{ group: 'k'.repeat(257) }, { lifo: 'true' }, { removeOnComplete: 1 }, { onFailure: 'die', parent: SAMPLES.parent }, { parent: 'above' }],
  ];
  for (const asked of wrong) {
    assert.throws(() => pushFields({ set: { queue: 'q' }, asked, data: {} }), { code: 'HQ_INVALID' }, JSON.stringify(asked));
  }
});

test('the receipt tells a duplicate and when it runs', () => {
  const fields = { queue: 'q', jobId: 'once:1', delay: 1000 };
  assert.deepEqual(receipt(fields, { id: 'once:1' }, 500), { id: 'once:1', queue: 'q', duplicate: false, runAt: 1500 });
  assert.equal(receipt(fields, { id: 'other' }).duplicate, true);
});

test('jobs are asked for by the words of their states, and by no other', () => {
  assert.equal(statesAsked(undefined), undefined);
  assert.deepEqual(statesAsked('waiting'), ['waiting', 'prioritized', 'paused']);
  assert.deepEqual(statesAsked(['failed', 'waiting-children']), ['failed', 'waiting-children']);
  assert.throws(() => statesAsked('dead'), refused(/^there is no state "dead" \(there are waiting, delayed/));
  assert.throws(() => statesAsked(['active', 'faild']), refused('there is no state "faild" (failed is meant?)'));
});

test('what is no option of a job has the words of the table too', () => {
  const ended = { id: '1', returnvalue: { a: 1 }, failedReason: 'no', stacktrace: ['at'], attempts: 1, maxAttempts: 3 };
  assert.deepEqual(jobOf(ended), { id: '1', result: { a: 1 }, error: 'no', stack: ['at'], attempts: 3, attemptsMade: 1 });
});

test('a flow is told of the nearer end: of its node, or of the job itself', () => {
  const deadline = (timeout, timeoutMs) => jobMessage({ id: '1', queue: 'q', name: 'n', timeout }, 't', { server: 's', timeoutMs, nowMs: 1000 }).job.deadline;
  assert.deepEqual([deadline(3000, 60_000), deadline(90_000, 60_000), deadline(3000, 0), deadline(null, 60_000), deadline(null, 0)], [4000, 61_000, 4000, 61_000, undefined]);
});

test('what a producer keeps in its data under names of flows comes back, whatever its job waits for', () => {
  const data = { __parentId: 'mine', __parentQueue: 'mine', __childrenIds: ['mine'], __other: 1, x: 1 };
  const asked = [
    [of({ dependsOn: ['a', 'b'] }, {}, { data })],
    [of({}, { noteParent: true }, { data, job: { id: 'j' } })],
    [of({ dependsOn: ['a'] }, { noteParent: true }, { data, job: { id: 'j' } })],
    [{ id: 'tree', data: { ...data, __parentId: 'up', __parentQueue: 'q' }, parentId: 'up', childrenIds: ['a'] }, { __childrenIds: ['mine'], __other: 1, x: 1 }],
    [{ id: 'tree', data: { ...data, __childrenIds: ['a'] }, childrenIds: ['a', 'b'] }, { __parentId: 'mine', __parentQueue: 'mine', __other: 1, x: 1 }],
  ];
  for (const [found, own = data] of asked) {
    assert.deepEqual(jobOf(found).data, own);
    assert.deepEqual(jobMessage({ stallCount: 0, attempts: 0, name: 'n', queue: 'q', ...found }, 't', { server: 's' }).payload, own);
  }
});

test('an option that nobody can say here is shown where it says something', () => {
  assert.equal('stackTraceLimit' in jobOf({ id: 'a', stackTraceLimit: 10 }), false);
  assert.equal(jobOf({ id: 'a', stackTraceLimit: 3 }).stackTraceLimit, 3);
  assert.equal(jobOf({ id: 'a', priority: 0, maxAttempts: 3 }).priority, 0);
});
