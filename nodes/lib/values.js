'use strict';
/**
 * What JavaScript values become on the wire and back. Nothing is changed silently: what MessagePack cannot hold is
 * refused with its path, except functions and undefined, which are left out as JSON does.
 */

const { HubqueueError } = require('./errors');

const MAX_DEPTH = 500; // the hub reads about 1000 levels
const INT64_MIN = -(2n ** 63n);
const UINT64_MAX = 2n ** 64n - 1n;

/** Properties of a message that belong to this runtime, this job or this HTTP request, and never travel. */
const PRIVATE = new Set(['_msgid', '_linkSource', '_event', '_session', 'req', 'res', 'job', 'enqueue', 'enqueued']);

/** A copy of `value` that can be encoded. Errors: HQ_UNENCODABLE with the path of the culprit. */
function toWire(value, path = 'msg.payload') {
  return copy(value, path, []);
}

/** The message without what must not travel. Errors: HQ_UNENCODABLE. */
function messageToWire(msg) {
  const kept = {};
  for (const [key, value] of Object.entries(msg)) {
    if (!PRIVATE.has(key)) {
      kept[key] = value;
    }
  }
  return copy(kept, 'msg', []);
}

function copy(value, path, ancestors) {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'boolean':
    case 'undefined':
      return value;
    case 'function':
      return undefined;
    case 'bigint':
      if (value < INT64_MIN || value > UINT64_MAX) {
        throw unencodable(path, 'an integer beyond 64 bits');
      }
      return value;
    case 'symbol':
      throw unencodable(path, 'a symbol');
    default:
      return value === null ? null : copyObject(value, path, ancestors);
  }
}

function copyObject(value, path, ancestors) {
  const binary = asBytes(value);
  if (binary !== undefined) {
    return binary;
  }
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) {
      throw unencodable(path, 'an invalid date');
    }
    return new Date(value.getTime());
  }
  if (ancestors.includes(value)) {
    throw unencodable(path, 'a circular reference');
  }
  if (ancestors.length >= MAX_DEPTH) {
    throw unencodable(path, `nested deeper than ${MAX_DEPTH} levels`);
  }
  const inner = [...ancestors, value];
  if (Array.isArray(value)) {
    return Array.from(value, (entry, index) => copy(entry, `${path}[${index}]`, inner) ?? null);
  }
  if (ArrayBuffer.isView(value)) {
    return Array.from(value);
  }
  if (value instanceof Error) {
    const { name, message, code } = value;
    return code === undefined ? { name, message } : { name, message, code: copy(code, `${path}.code`, inner) };
  }
  const plain = prototypeIsPlain(value);
  if (!plain && typeof value.toJSON === 'function') {
    return copy(value.toJSON(), path, inner);
  }
  if (value instanceof Map || value instanceof Set || value instanceof Promise || value instanceof WeakMap) {
    throw unencodable(path, `a ${value.constructor.name}`);
  }
  const made = {};
  for (const key of Object.keys(value)) {
    const entry = copy(value[key], `${path}.${key}`, inner);
    if (entry !== undefined) {
      Object.defineProperty(made, key, { value: entry, enumerable: true, configurable: true, writable: true });
    }
  }
  return made;
}

function asBytes(value) {
  if (value instanceof Uint8Array) {
    return Buffer.from(value);
  }
  if (value instanceof ArrayBuffer || value instanceof DataView) {
    const { buffer, byteOffset, byteLength } = value instanceof DataView ? value : new DataView(value);
    return Buffer.from(buffer.slice(byteOffset, byteOffset + byteLength));
  }
  return undefined;
}

/** Objects of function nodes come from another realm: their prototype is not our Object.prototype, but as plain. */
function prototypeIsPlain(value) {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function unencodable(path, what) {
  return new HubqueueError('HQ_UNENCODABLE', `${path} cannot be stored: it is ${what}`);
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

module.exports = { toWire, messageToWire, fromWire };
