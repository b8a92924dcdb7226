'use strict';
/** For the unit tests: the package's own modules, and a hub that says what a test tells it to, over a real socket. */

const net = require('node:net');
const path = require('node:path');
const { encode } = require('@msgpack/msgpack');

const LIB = path.join(__dirname, '..', '..', '..', 'nodes', 'lib');
const lib = (name) => require(path.join(LIB, name));
const { FrameReader } = lib('frames');

/** A server that calls `answer(request, socket)` for each request; what it returns is sent with the reqId. */
class Peer {
  constructor(answer) {
    this.answer = answer;
    this.requests = [];
    this.sockets = new Set();
  }

  async listen(port = 0) {
    this.server = net.createServer((socket) => this.serve(socket));
    await new Promise((resolve) => this.server.listen(port, '127.0.0.1', resolve));
    this.port = this.server.address().port;
    return this;
  }

  serve(socket) {
    const reader = new FrameReader();
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      for (const request of reader.feed(chunk)) {
        this.requests.push(request);
        const reply = this.answer(request, socket);
        if (reply !== undefined) {
          socket.write(frame({ reqId: request.reqId, ...reply }));
        }
      }
    });
  }

  drop() {
    this.sockets.forEach((socket) => socket.destroy());
  }

  async close() {
    this.drop();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

function frame(message) {
  const body = encode(message);
  const header = Buffer.alloc(4);
  header.writeUInt32BE(body.length);
  return Buffer.concat([header, body]);
}

const { api } = require('../../../nodes/resources/options');
const OK = { ok: true, server: 'hubqueue', hubId: 'peer', version: '0', api };

/** Resolves once the condition holds. */
async function until(condition, ms = 5000) {
  const end = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > end) {
      throw new Error('it did not happen');
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What an Outbox needs without a folder. */
const FOLDERLESS = { folder: null, refusals: new (lib('refusals').Refusals)(null) };

/** A line to a hub that the test plays: what is sent is in `sent`, with how to answer it. */
function line({ up, hub, where }) {
  const made = { up, hub, where, sent: [] };
  made.send = (frame) => new Promise((resolve, reject) => made.sent.push({ frame, resolve, reject }));
  return made;
}

let reqId = 0;

/** What Outbox.add takes: a message with that data. */
function push(data, { queue = 'q', id = `once:${reqId}` } = {}) {
  reqId += 1;
  return [{ cmd: 'PUSH', reqId, bytes: lib('frames').encodeFrame({ cmd: 'PUSH', reqId, queue, data, jobId: id }) }, { queue, id }];
}

module.exports = { lib, LIB, Peer, frame, OK, until, FOLDERLESS, line, push };
