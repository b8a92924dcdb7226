'use strict';
/**
 * Values as flows make them, by chance but repeatable: each is JavaScript source, so that it can be made in any realm,
 * with what it has to come back as, or with the way to what has to be refused.
 */

/** Numbers from 0 to below 1, the same for the same seed (mulberry32). */
function chance(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** [source, what comes back] */
const KEPT = [
  ['null', null],
  ['true', true],
  ['0', 0],
  ['-1.5', -1.5],
  ['2 ** 53', 2 ** 53],
  ['-(2 ** 40)', -(2 ** 40)],
  ['1e300', 1e300],
  ['NaN', NaN],
  ['-Infinity', -Infinity],
  ['5n', 5],
  ['2n ** 63n', 2n ** 63n],
  ['-(2n ** 63n)', -(2n ** 63n)],
  ['""', ''],
  ['"ä€𝄞\\0"', 'ä€𝄞\0'],
  ['"x".repeat(300)', 'x'.repeat(300)],
  ['new Date(-1)', new Date(-1)],
  ['new Date(8.64e15)', new Date(8.64e15)],
  ['new Uint8Array([1, 2, 255])', Buffer.from([1, 2, 255])],
  ['new Uint8Array([1, 2, 255]).subarray(1)', Buffer.from([2, 255])],
  ['new Uint8Array([7, 8]).buffer', Buffer.from([7, 8])],
  ['new DataView(new Uint8Array([7, 8, 9]).buffer, 1)', Buffer.from([8, 9])],
  ['new SharedArrayBuffer(2)', Buffer.alloc(2)],
  ['new Float64Array([0.5, 1])', [0.5, 1]],
  ['new BigInt64Array([1n, -(2n ** 63n)])', [1, -(2n ** 63n)]],
  ['new Uint8ClampedArray([300])', [255]],
  ['new Error("boom")', { name: 'Error', message: 'boom' }],
  ['Object.assign(new TypeError("no"), { code: "E", data: {} })', { name: 'TypeError', message: 'no', code: 'E' }],
  ['new RangeError("a", { cause: new Error("b") })', { name: 'RangeError', message: 'a', cause: { name: 'Error', message: 'b' } }],
  ['new String("s")', 's'],
  ['Object(3n)', 3],
  ['[1, , 3]', [1, null, 3]],
  ['[undefined, () => 1]', [null, null]],
  ['({ gone: undefined, run() {} })', {}],
  ['Object.create(null)', {}],
  ['({ toJSON: 1 })', { toJSON: 1 }],
  ['new (class A { x = 1; })()', { x: 1 }],
  ['new (class A { toJSON() { return [1]; } })()', [1]],
];

const REFUSED = [
  'new Map([[1, 2]])',
  'new Set([1])',
  'new WeakMap()',
  'new WeakSet()',
  'new WeakRef({})',
  'Promise.resolve(1)',
  'Symbol("s")',
  'Object(Symbol("s"))',
  '/x/',
  'new Date(NaN)',
  '2n ** 64n',
  '-(2n ** 63n) - 1n',
  '"\\ud800"',
  '"x".repeat(300) + "\\udc00"',
  '(function* () {})()',
  'new Map().entries()',
  '(function () { return arguments; })(1)',
  'new (class A { #hidden = 1; })()',
  'new (class A extends Map { x = 1; })()',
  'Object.defineProperty(new Map(), Symbol.toStringTag, { value: "Object" })',
  'new (class A { toJSON() { throw 1; } })()',
  'new Proxy({}, { ownKeys() { throw new Error("trap"); } })',
  'new Intl.NumberFormat()',
  'Math',
  '(() => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return proxy; })()',
];

const KEYS = ['a', 'toString', 'constructor', 'a b', 'ä', '0', ''];

/** { source, back } or { source, path }: the way, as it is written in words, to the one part that is refused. */
function generated(random, { bad, depth = 4 }) {
  const pick = (list) => list[Math.floor(random() * list.length)];
  if (depth === 0 || random() < 0.2) {
    return bad ? { source: pick(REFUSED), path: '' } : leaf(pick(KEPT));
  }
  const count = 1 + Math.floor(random() * 4);
  const worst = bad ? Math.floor(random() * count) : -1;
  const parts = Array.from({ length: count }, (_, at) => generated(random, { bad: at === worst, depth: depth - 1 }));
  if (random() < 0.5) {
    const source = `[${parts.map((part) => part.source).join(', ')}]`;
    return bad ? { source, path: `[${worst}]${parts[worst].path}` } : { source, back: parts.map(({ back }) => back) };
  }
  const start = Math.floor(random() * KEYS.length);
  const keys = parts.map((_, at) => KEYS[(start + at) % KEYS.length]);
  const source = `({ ${parts.map((part, at) => `${JSON.stringify(keys[at])}: ${part.source}`).join(', ')} })`;
  if (!bad) {
    return { source, back: Object.fromEntries(parts.map(({ back }, at) => [keys[at], back])) };
  }
  const key = keys[worst];
  return { source, path: (/^(\p{L}|_)+$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`) + parts[worst].path };
}

function leaf([source, back]) {
  return { source, back };
}

module.exports = { chance, generated, KEPT, REFUSED };
