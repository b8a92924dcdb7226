'use strict';
const assert = require('node:assert/strict');
const { test } = require('node:test');
const vm = require('node:vm');
const { encode } = require('@msgpack/msgpack');
const { lib, frame } = require('./support');
const { toWire, messageToWire } = lib('values');
const { chance, generated, KEPT, REFUSED } = require('./generated');
const { encodeFrame, FrameReader } = lib('frames');

const around = (value) => new FrameReader().feed(encodeFrame({ value: toWire(value) }))[0].value;

test('plain values come back as they were', () => {
  const at = Date.now();
  const value = { text: 'ä€𝄞', list: [1, -1, 0.5, null, true], at, edge: 2 ** 53, least: -(2 ** 53), nothing: null, empty: {}, nan: NaN };
  assert.deepEqual(around(value), value);
  assert.equal(typeof around(value).at, 'number');
});

test('binary comes back as Buffer, dates as dates, great integers as BigInt', () => {
  const value = { buffer: Buffer.from([0, 255]), view: new Uint8Array([1]), raw: new Uint8Array([2]).buffer, date: new Date(123456789), big: 2n ** 63n };
  const found = around(value);
  assert.ok(Buffer.isBuffer(found.buffer) && found.buffer.equals(value.buffer));
  assert.ok(Buffer.isBuffer(found.view) && Buffer.isBuffer(found.raw));
  assert.deepEqual(found.date, value.date);
  assert.equal(found.big, 2n ** 63n);
});

test('undefined and functions are left out as JSON does', () => {
  assert.deepEqual(around({ gone: undefined, run: () => 1, list: [undefined, () => 1] }), { list: [null, null] });
});

test('typed arrays of numbers become lists, objects their JSON', () => {
  assert.deepEqual(around(new Float64Array([0.5, 1])), [0.5, 1]);
  assert.equal(around(new URL('http://a.example/')), 'http://a.example/');
  assert.deepEqual(around(new TypeError('no')), { name: 'TypeError', message: 'no' });
});

/** Where values are made: here, in a function node (which gets our Buffer and Date), and in a realm that shares nothing. */
const REALMS = {
  here: (source) => vm.runInThisContext(`(${source})`),
  'a function node': (source) => vm.runInContext(`(${source})`, functionNode),
  'another realm': (source) => vm.runInContext(`(${source})`, elsewhere),
};
const functionNode = vm.createContext({ Buffer, Date, console, URL });
const elsewhere = vm.createContext({});

const refusal = (path) => (error) => error.code === 'HQ_UNENCODABLE' && error.message.startsWith(`${path} cannot be stored: it is `);

for (const [realm, make] of Object.entries(REALMS)) {
  for (const [source, back] of KEPT) {
    test(`${source} made by ${realm} comes back`, () => {
      assert.deepStrictEqual(around(make(source)), back);
    });
  }

  for (const source of REFUSED) {
    test(`${source} made by ${realm} is refused with its path`, () => {
      assert.throws(() => toWire(make(source)), refusal('msg.payload'));
      assert.throws(() => messageToWire({ payload: { deep: [make(source)] } }), refusal('msg.payload.deep[0]'));
    });
  }

  test(`every value made by ${realm} comes back equal, or is refused with the path of what is wrong`, () => {
    const random = chance(13);
    for (let round = 0; round < 300; round += 1) {
      const good = generated(random, { bad: false });
      assert.deepStrictEqual(around(make(good.source)), good.back, good.source);
      const bad = generated(random, { bad: true });
      assert.throws(() => toWire(make(bad.source)), refusal(`msg.payload${bad.path}`), bad.source);
    }
  });
}

test('code of the flow that throws while it is read is an error with the path', () => {
  const values = ['({ get a() { throw null; } })', '({ get a() { throw new Error("x"); } })', '({ get a() { throw Object.create(null); } })'];
  for (const source of values) {
    assert.throws(() => toWire(REALMS['a function node'](source)), refusal('msg.payload.a'));
  }
  const msg = { payload: 1, get late() { throw new Error('gone'); } };
  assert.throws(() => messageToWire(msg), refusal('msg.late'));
});

test('a function alone is no value', () => {
  assert.throws(() => toWire(() => 1), refusal('msg.payload'));
});

test('what is larger than a job may be is refused before it fills the memory', () => {
  const sparse = [];
  sparse[2 ** 32 - 2] = 1;
  const shared = 'x'.repeat(1024 * 1024);
  for (const value of [sparse, Buffer.alloc(12e6), 'x'.repeat(12e6), Array(20).fill(shared), new Float64Array(11e6)]) {
    assert.throws(() => toWire({ value }), (error) => error.code === 'HQ_TOO_LARGE' && error.message.startsWith('msg.payload.value'));
  }
});

test('the words say what it is', () => {
  const said = [[new Map(), 'a Map'], [Symbol('x'), 'a symbol'], [new Date('no'), 'an invalid date'], [2n ** 64n, 'an integer beyond 64 bits']];
  for (const [value, what] of said) {
    assert.throws(() => toWire({ 'a b': value }), { message: `msg.payload["a b"] cannot be stored: it is ${what}` });
  }
});

test('a circle is refused, the same object twice is not', () => {
  const circle = { inner: {} };
  circle.inner.back = circle;
  assert.throws(() => toWire(circle), /msg\.payload\.inner\.back .*circular/);
  const shared = { n: 1 };
  assert.deepEqual(around({ a: shared, b: shared }), { a: { n: 1 }, b: { n: 1 } });
});

test('nesting is bounded', () => {
  let deep = 1;
  for (let level = 0; level < 400; level += 1) {
    deep = [deep];
  }
  assert.doesNotThrow(() => around(deep));
  for (let level = 0; level < 400; level += 1) {
    deep = [deep];
  }
  assert.throws(() => toWire(deep), /nested deeper/);
});

test('what belongs to this runtime stays out of a whole message', () => {
  const msg = { _msgid: 'x', req: {}, res: {}, job: { lease: 'secret' }, enqueue: {}, enqueued: {}, payload: 1, headers: { a: 1 } };
  assert.deepEqual(messageToWire(msg), { payload: 1, headers: { a: 1 } });
});

test('a copy is stored: what the flow changes later does not count', () => {
  const value = { list: [1], buffer: Buffer.from([1]) };
  const copied = toWire(value);
  value.list.push(2);
  value.buffer[0] = 9;
  assert.deepEqual(copied, { list: [1], buffer: Buffer.from([1]) });
});

test('the key __proto__ neither changes prototypes nor breaks the reader', () => {
  const own = JSON.parse('{"__proto__": {"bad": 1}, "a": 2}');
  assert.throws(() => toWire({ own }), refusal('msg.payload.own.__proto__'));
  const [found] = new FrameReader().feed(frame({ value: own })); // from a producer who could
  assert.deepEqual(found.value, { __prot0__: { bad: 1 }, a: 2 });
});

test('only keys are renamed, whatever the value holds', () => {
  const random = chance(5);
  for (let round = 0; round < 300; round += 1) {
    const { source, back } = generated(random, { bad: false });
    const value = JSON.parse('{"__proto__": {"__proto__": 1}, "text": "about __proto__", "same": "__proto__"}');
    const more = { bytes: Buffer.from('\xa9__proto__', 'latin1'), list: [...Buffer.from('__proto__')], long: 'x'.repeat(round % 50 === 0 ? 70_000 : 300), wide: Array(20).fill(Buffer.alloc(300)), back };
    const found = new FrameReader().feed(encodeFrame([more, value, { __prot0: 1, more }]));
    const plain = { __prot0__: { __prot0__: 1 }, text: 'about __proto__', same: '__proto__' };
    assert.deepStrictEqual(found, [[around(more), plain, { __prot0: 1, more: around(more) }]], source);
  }
});

test('frames are found whole, byte by byte and many at once', () => {
  const bytes = Buffer.concat([encodeFrame({ n: 1 }), encodeFrame({ n: 'x'.repeat(70_000) }), encodeFrame({ n: 3 })]);
  const whole = new FrameReader().feed(bytes);
  const reader = new FrameReader();
  const single = [];
  for (let at = 0; at < bytes.length; at += 1) {
    single.push(...reader.feed(bytes.subarray(at, at + 1)));
  }
  assert.equal(whole.length, 3);
  assert.deepEqual(single, whole);
});

test('what is no frame is told from the first bytes', () => {
  assert.throws(() => new FrameReader().feed(Buffer.from('HTTP/1.1 400 Bad Request')), /is this a hub/);
  const broken = Buffer.from([0, 0, 0, 1, 0xc1]);
  assert.throws(() => new FrameReader().feed(broken), (error) => error.code === 'HQ_PROTOCOL');
});

test('absent values of other clients are undefined, unknown extensions stay', () => {
  const body = encode({ ok: true });
  assert.deepEqual(new FrameReader().feed(frame({ ok: true })), [{ ok: true }]);
  const absent = Buffer.concat([Buffer.from([0, 0, 0, 6, 0x81, 0xa1, 0x61, 0xd4, 0x00, 0x00])]);
  assert.deepEqual(new FrameReader().feed(absent), [{ a: undefined }]);
  assert.ok(body.length > 0);
});
