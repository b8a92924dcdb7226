'use strict';
/**
 * Where in a MessagePack value the keys `__proto__` are. The decoder refuses that key, and only keys are to be renamed:
 * texts and bytes that hold the same letters are data. Pure; called for the few values that have such a key.
 */

const NAME = Buffer.from('__proto__');
const BYTES = { 0xca: 4, 0xcb: 8, 0xcc: 1, 0xcd: 2, 0xce: 4, 0xcf: 8, 0xd0: 1, 0xd1: 2, 0xd2: 4, 0xd3: 8, 0xd4: 2, 0xd5: 3, 0xd6: 5, 0xd7: 9, 0xd8: 17 };

/** By first byte: what follows, and in how many bytes its length is said. */
const SIZED = {
  0xc4: ['bytes', 1],
  0xc5: ['bytes', 2],
  0xc6: ['bytes', 4],
  0xc7: ['extension', 1],
  0xc8: ['extension', 2],
  0xc9: ['extension', 4],
  0xd9: ['text', 1],
  0xda: ['text', 2],
  0xdb: ['text', 4],
  0xdc: ['list', 2],
  0xdd: ['list', 4],
  0xde: ['map', 2],
  0xdf: ['map', 4],
};

/** The body with each key `__proto__` called `__prot0__`. Errors: RangeError when it ends too early. */
function renamed(body) {
  const found = Buffer.from(body);
  walk(found, 0, (at) => found.write('__prot0__', at, 'latin1'));
  return found;
}

/** Go over one value; hit(at) for each key with the name. Answers where the value ends. */
function walk(body, at, hit, isKey = false) {
  const { kind, size, start } = head(body, at);
  if (kind === 'list' || kind === 'map') {
    let next = start;
    for (let entry = 0; entry < size; entry += 1) {
      next = kind === 'map' ? walk(body, next, hit, true) : next;
      next = walk(body, next, hit);
    }
    return next;
  }
  if (kind === 'text' && isKey && NAME.equals(body.subarray(start, start + size))) {
    hit(start);
  }
  return start + size;
}

function head(body, at) {
  const first = body.readUInt8(at);
  if (first in SIZED) {
    const [kind, width] = SIZED[first];
    const size = body.readUIntBE(at + 1, width);
    return { kind, size: kind === 'extension' ? size + 1 : size, start: at + 1 + width };
  }
  if (first >= 0x80 && first <= 0xbf) {
    const kind = first < 0x90 ? 'map' : first < 0xa0 ? 'list' : 'text';
    return { kind, size: first & (kind === 'text' ? 0x1f : 0x0f), start: at + 1 };
  }
  return { kind: 'number', size: BYTES[first] ?? 0, start: at + 1 };
}

module.exports = { renamed };
