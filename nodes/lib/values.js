'use strict';
/**
 * What JavaScript values become on the wire and back. Nothing is changed silently: what cannot come back is refused with
 * its path, except functions and undefined inside a value, which are left out as JSON does. Values of function nodes
 * come from another realm, where `instanceof` is false: only node:util/types and Object.prototype tell what they are.
 */

const { inspect, types } = require('node:util');
const { HubqueueError } = require('./errors');

const MAX_DEPTH = 500; // the hub reads about 1000 levels
const MAX_BYTES = 10 * 1024 * 1024; // of a job's data or result; the hub takes no more
const INT64_MIN = -(2n ** 63n);
const UINT64_MAX = 2n ** 64n - 1n;
const FORBIDDEN_KEY = '__proto__'; // readers refuse it, ours too

/** Properties of a message that belong to this runtime, this job or this HTTP request, and never travel. */
const PRIVATE = new Set(['_msgid', '_linkSource', '_event', '_session', 'req', 'res', 'job', 'enqueue', 'enqueued']);

/** What holds something that its properties do not show. Others of this kind tell it by their tag. */
const OPAQUE = [
  ['a Map', types.isMap],
  ['a Set', types.isSet],
  ['a WeakMap', types.isWeakMap],
  ['a WeakSet', types.isWeakSet],
  ['a Promise', types.isPromise],
  ['a regular expression', types.isRegExp],
  ['a generator', types.isGeneratorObject],
  ['an iterator', (value) => types.isMapIterator(value) || types.isSetIterator(value)],
  ['an object of native code', types.isExternal],
];

const BOXES = [
  [types.isStringObject, String],
  [types.isNumberObject, Number],
  [types.isBooleanObject, Boolean],
  [types.isBigIntObject, BigInt],
  [types.isSymbolObject, Symbol],
];

/** A copy of `value` that can be encoded. Errors: HQ_UNENCODABLE or HQ_TOO_LARGE, with the path of the culprit. */
function toWire(value, path = 'msg.payload') {
  return new Copier(path).top(value);
}

/** The message without what must not travel. Errors: as of toWire. */
function messageToWire(msg) {
  return new Copier('msg', PRIVATE).top(msg);
}

class Copier {
  constructor(root, left = new Set()) {
    Object.assign(this, { root, left });
    this.keys = []; // the way to the value that is copied
    this.open = new Set(); // the objects on that way
    this.room = MAX_BYTES; // no value takes less than a byte: neither holes nor shared parts can fill the memory
  }

  top(value) {
    if (typeof value === 'function') {
      throw this.no('a function');
    }
    return this.value(value);
  }

  value(value) {
    this.take(1);
    switch (typeof value) {
      case 'number':
      case 'boolean':
      case 'undefined':
        return value;
      case 'string':
        return this.text(value);
      case 'function':
        return undefined;
      case 'bigint':
        if (value < INT64_MIN || value > UINT64_MAX) {
          throw this.no('an integer beyond 64 bits');
        }
        return value;
      case 'symbol':
        throw this.no('a symbol');
      default:
        return value === null ? null : this.guarded(value);
    }
  }

  text(value) {
    this.take(value.length);
    if (!value.isWellFormed()) {
      throw this.no('a text with half a character (a lone surrogate): use toWellFormed()');
    }
    return value;
  }

  /** Getters, proxies and toJSON are code of the flow, and may throw anything. */
  guarded(value) {
    try {
      return this.object(value);
    } catch (error) {
      throw error instanceof HubqueueError ? error : this.no(`something that cannot be read: ${wordsOf(error)}`, error);
    }
  }

  object(value) {
    return Array.isArray(value) ? this.deeper(value) : (this.single(value) ?? this.deeper(value));
  }

  /** What has no parts: bytes, a date, a boxed value; undefined for all else. */
  single(value) {
    if (types.isAnyArrayBuffer(value) || types.isUint8Array(value) || types.isDataView(value)) {
      return this.binary(value);
    }
    if (types.isDate(value)) {
      const ms = Date.prototype.getTime.call(value);
      if (Number.isNaN(ms)) {
        throw this.no('an invalid date');
      }
      return new Date(ms);
    }
    if (types.isBoxedPrimitive(value)) {
      const [, type] = BOXES.find(([is]) => is(value));
      return this.value(type.prototype.valueOf.call(value));
    }
    return undefined;
  }

  deeper(value) {
    if (this.open.has(value)) {
      throw this.no('a circular reference');
    }
    if (this.open.size >= MAX_DEPTH) {
      throw this.no(`nested deeper than ${MAX_DEPTH} levels`);
    }
    this.open.add(value);
    const made = this.container(value);
    this.open.delete(value);
    return made;
  }

  container(value) {
    if (Array.isArray(value) || ArrayBuffer.isView(value)) {
      return this.list(value);
    }
    if (types.isNativeError(value) || value instanceof Error) {
      return this.error(value);
    }
    const plain = isPlain(value);
    if (!plain && typeof value.toJSON === 'function') {
      return this.value(value.toJSON());
    }
    const opaque = OPAQUE.find(([, is]) => is(value));
    const tag = Object.prototype.toString.call(value).slice(8, -1);
    if (opaque || tag !== 'Object') {
      throw this.no(opaque ? opaque[0] : `${/^[AEIOU]/.test(tag) ? 'an' : 'a'} ${tag}`);
    }
    const made = {};
    for (const key of Object.keys(value)) {
      if (this.keys.length > 0 || !this.left.has(key)) {
        this.put(made, key, value);
      }
    }
    if (!plain && Object.keys(made).length === 0) {
      throw this.no(`an object of the class ${wordsOf(value.constructor?.name)} that shows nothing of what it holds`);
    }
    return made;
  }

  put(made, key, value) {
    this.keys.push(key);
    this.text(key);
    if (key === FORBIDDEN_KEY) {
      throw this.no('under a name that no object can have safely');
    }
    const entry = this.value(value[key]);
    this.keys.pop();
    if (entry !== undefined) {
      made[key] = entry;
    }
  }

  list(value) {
    if (value.length > this.room) {
      throw this.tooLarge(); // a list of holes too: they come back as null
    }
    const made = new Array(value.length);
    for (let index = 0; index < value.length; index += 1) {
      this.keys.push(index);
      made[index] = this.value(value[index]) ?? null;
      this.keys.pop();
    }
    return made;
  }

  /** Bytes of any kind, as they are now. */
  binary(value) {
    const buffer = types.isAnyArrayBuffer(value) ? value : value.buffer;
    if (buffer.detached) {
      throw this.no('a buffer that was given away');
    }
    this.take(value.byteLength);
    return Buffer.from(Buffer.from(buffer, value === buffer ? 0 : value.byteOffset, value.byteLength));
  }

  /** name, message, cause, errors, and what else it says in a word, such as code or errno. */
  error(value) {
    const made = {};
    this.put(made, 'name', value);
    this.put(made, 'message', value);
    for (const key of Object.keys(value)) {
      if (!['object', 'function', 'symbol'].includes(typeof value[key])) {
        this.put(made, key, value);
      }
    }
    for (const key of ['cause', 'errors']) {
      if (Object.hasOwn(value, key)) {
        this.put(made, key, value);
      }
    }
    return made;
  }

  take(bytes) {
    this.room -= bytes;
    if (this.room < 0) {
      throw this.tooLarge();
    }
  }

  get path() {
    return this.keys.reduce((path, key) => path + step(key), this.root);
  }

  no(what, cause) {
    return new HubqueueError('HQ_UNENCODABLE', `${this.path} cannot be stored: it is ${what}`, { cause });
  }

  tooLarge() {
    return new HubqueueError('HQ_TOO_LARGE', `${this.path} cannot be stored: with it there is more than the 10 MB that a job or a result may have`);
  }
}

function step(key) {
  if (typeof key === 'number') {
    return `[${key}]`;
  }
  return /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

/** Anything, such as what was thrown, in a few words. Never throws. */
function wordsOf(value) {
  try {
    return typeof value === 'string' ? value : types.isNativeError(value) ? String(value.message) : inspect(value, { depth: 1, breakLength: Infinity });
  } catch {
    return 'something that cannot be shown';
  }
}

/** Without a class: the prototype is none, or the Object.prototype of this realm or of another one. */
function isPlain(value) {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'hasOwnProperty'));
}

/** Of what toWire gives: an object that is neither a list nor bytes nor a date. */
function isMap(value) {
  return value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype;
}

/** A decoded value as flows expect it: binary as Buffer, integers as numbers where those are exact. */
function fromWire(value) {
  if (typeof value === 'bigint') {
    return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
  }
  if (value === null || typeof value !== 'object' || value instanceof Date) {
    return value;
  }
  if (value instanceof Uint8Array) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }
  if (Array.isArray(value)) {
    return value.map(fromWire);
  }
  for (const key of Object.keys(value)) {
    value[key] = fromWire(value[key]);
  }
  return value;
}

/** The object without what is undefined in it. */
function defined(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

module.exports = { toWire, messageToWire, fromWire, isMap, defined, wordsOf };
