'use strict';
const assert = require('node:assert/strict');
const { test } = require('node:test');
const vm = require('node:vm');
const { encode } = require('@msgpack/msgpack');
const { lib, frame } = require('./support');
const { toWire, messageToWire } = lib('values');
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

test('objects of another realm, as function nodes make them, are plain', () => {
  assert.deepEqual(around(vm.runInNewContext('({a: [1, {b: 2}]})')), { a: [1, { b: 2 }] });
});

for (const [what, value, path] of [
  ['a Map', { a: { b: new Map() } }, 'msg.payload.a.b'],
  ['a Set', [new Set()], 'msg.payload[0]'],
  ['a symbol', { s: Symbol('x') }, 'msg.payload.s'],
  ['an invalid date', new Date('no'), 'msg.payload'],
  ['an integer beyond 64 bits', 2n ** 64n, 'msg.payload'],
]) {
  test(`${what} is refused with its path`, () => {
    assert.throws(() => toWire(value), (error) => error.code === 'HQ_UNENCODABLE' && error.message.startsWith(`${path} cannot be stored: it is ${what}`));
  });
}

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
  const own = toWire(JSON.parse('{"__proto__": {"bad": 1}, "a": 2}'));
  assert.equal(Object.getPrototypeOf(own), Object.prototype);
  const [found] = new FrameReader().feed(encodeFrame({ value: own }));
  assert.deepEqual(found.value, { __prot0__: { bad: 1 }, a: 2 });
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
