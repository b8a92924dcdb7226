'use strict';
/**
 * Frames of the hub's protocol: the length of the body as big-endian u32, then one MessagePack map.
 * Pure: bytes in, messages out; docs/protocol.md of hubqueue fixes the format.
 */

const { Encoder, Decoder, ExtensionCodec } = require('@msgpack/msgpack');
const { HubqueueError } = require('./errors');
const { renamed } = require('./keys');
const { fromWire } = require('./values');

const HEADER_BYTES = 4;
const MAX_FRAME_BYTES = 64 * 1024 * 1024;
const MAX_DEPTH = 600; // values.js lets 500 levels of user data through
const ABSENT = 0; // the extension type that means "no value"

const extensions = new ExtensionCodec();
extensions.register({ type: ABSENT, encode: () => null, decode: () => undefined });
const shared = { extensionCodec: extensions, maxDepth: MAX_DEPTH, ignoreUndefined: true };
const plain = new Encoder(shared);
const withBigInts = new Encoder({ ...shared, useBigInt64: true }); // writes numbers beyond 32 bits as floats
const decoder = new Decoder({ extensionCodec: extensions, useBigInt64: true, mapKeyConverter: String });

/** One frame. Errors: HQ_UNENCODABLE, HQ_TOO_LARGE. */
function encodeFrame(message) {
  const body = encodeBody(message);
  if (body.length > MAX_FRAME_BYTES) {
    throw new HubqueueError('HQ_TOO_LARGE', `${body.length} bytes are more than a message of the hub may have`);
  }
  const frame = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  frame.writeUInt32BE(body.length);
  frame.set(body, HEADER_BYTES);
  return frame;
}

/** Bytes that are only good until the next call. */
function encodeBody(message) {
  try {
    return plain.encodeSharedRef(message);
  } catch (error) {
    if (!/bigint/i.test(error.message)) {
      throw new HubqueueError('HQ_UNENCODABLE', error.message, { cause: error });
    }
    return withBigInts.encodeSharedRef(message);
  }
}

/** Collects bytes; `feed` gives the messages that are complete. Errors: HQ_PROTOCOL, after which the link is useless. */
class FrameReader {
  constructor(limit = MAX_FRAME_BYTES) {
    this.limit = limit;
    this.chunks = [];
    this.size = 0;
  }

  feed(chunk) {
    this.chunks.push(chunk);
    this.size += chunk.length;
    const messages = [];
    for (let body = this.next(); body !== undefined; body = this.next()) {
      messages.push(decodeBody(body));
    }
    return messages;
  }

  next() {
    if (this.size < HEADER_BYTES) {
      return undefined;
    }
    if (this.chunks[0].length < HEADER_BYTES) {
      this.join();
    }
    const length = this.chunks[0].readUInt32BE(0);
    if (length > this.limit) {
      throw new HubqueueError('HQ_PROTOCOL', `a frame of ${length} bytes: is this a hub?`);
    }
    if (this.size < HEADER_BYTES + length) {
      return undefined;
    }
    this.join();
    const all = this.chunks[0];
    const end = HEADER_BYTES + length;
    this.chunks = end < all.length ? [all.subarray(end)] : [];
    this.size -= end;
    return all.subarray(HEADER_BYTES, end);
  }

  join() {
    if (this.chunks.length > 1) {
      this.chunks = [Buffer.concat(this.chunks)];
    }
  }
}

/** What a whole frame of ours says. Errors: HQ_PROTOCOL. */
function readFrame(bytes) {
  return decodeBody(bytes.subarray(HEADER_BYTES));
}

/** The value of a body, as flows expect it. Errors: HQ_PROTOCOL. */
function decodeBody(body) {
  try {
    return fromWire(decode(body));
  } catch (error) {
    throw new HubqueueError('HQ_PROTOCOL', `a message that is not MessagePack: ${error.message}`, { cause: error });
  }
}

/** The decoder refuses the key `__proto__`; one such job must not end the link again and again, so it is renamed. */
function decode(body) {
  try {
    return decoder.decode(body);
  } catch (error) {
    if (!/__proto__/.test(error.message)) {
      throw error;
    }
    return decoder.decode(renamed(body));
  }
}

module.exports = { encodeFrame, encodeBody, decodeBody, readFrame, FrameReader, MAX_FRAME_BYTES };
