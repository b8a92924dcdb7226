'use strict';
const assert = require('node:assert/strict');
const { createHash } = require('node:crypto');
const { once } = require('node:events');
const net = require('node:net');
const { test } = require('node:test');
const { chance } = require('./generated');
const { lib } = require('./support');
const { Sender } = lib('sender');

const EDGES = [0, 1, 65_535, 65_536, 65_537, 131_072, 1_000_000];

test('frames of any size arrive whole, in order, and are counted', async (t) => {
  const random = chance(11);
  const got = createHash('sha256');
  let arrived = 0;
  const server = net.createServer((socket) => {
    socket.on('data', (chunk) => {
      got.update(chunk);
      arrived += chunk.length;
    });
    socket.on('end', () => socket.end());
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const socket = net.connect(server.address().port, '127.0.0.1');
  await once(socket, 'connect');
  const sender = new Sender(socket);
  const sent = createHash('sha256');
  for (let n = 0; n < 600; n += 1) {
    const size = n < EDGES.length ? EDGES[n] : Math.floor(random() ** 4 * 200_000);
    const frame = Buffer.alloc(size, n);
    sent.update(frame);
    sender.write(frame);
    if (random() < 0.05) {
      await new Promise(setImmediate); // some wait, some do not
    }
  }
  while (sender.taken < sender.given) {
    await new Promise(setImmediate);
  }
  socket.end();
  await once(socket, 'close');
  assert.equal(arrived, sender.given);
  assert.equal(got.digest('hex'), sent.digest('hex'));
  assert.equal(sender.busy, false);
});
