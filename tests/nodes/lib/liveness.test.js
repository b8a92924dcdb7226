'use strict';
const assert = require('node:assert/strict');
const { once } = require('node:events');
const { test } = require('node:test');
const { Worker } = require('node:worker_threads');
const { lib, Peer, OK, frame, until } = require('./support');
const { Link } = lib('link');
const { Liveness } = lib('liveness');

const BIG = 48 * 1024 * 1024; // more than the system keeps of what nobody reads

async function connected(t, peer, more) {
  const link = new Link({ hosts: async () => ['127.0.0.1'], port: peer.port, ...more });
  link.backoff.next = () => 60_000; // one connection, and what becomes of it
  const downs = [];
  link.on('down', (error) => downs.push(error));
  t.after(() => link.stop());
  link.start();
  await once(link, 'up');
  return { link, downs };
}

/** A hub that answers everything but long-polls. */
async function hubOf(t) {
  const peer = await new Peer(({ cmd }) => (cmd === 'PULLB' ? undefined : OK)).listen();
  t.after(() => peer.close());
  return peer;
}

function hang(peer) {
  peer.answer = () => undefined;
  peer.sockets.forEach((socket) => socket.pause());
}

const steadily = (link, bytes) => {
  const data = 'x'.repeat(bytes);
  return setInterval(() => link.request('PUSH', { data }).catch(() => {}), 2);
};

const TRAFFIC = {
  'nothing at all': () => undefined,
  'a long-poll': (link) => void link.request('PULLB').catch(() => {}),
  'small messages all the time': (link) => steadily(link, 100),
  'large messages all the time': (link) => steadily(link, 100_000),
  'one that is larger than what the system takes': (link) => void link.request('PUSH', { data: Buffer.alloc(BIG) }).catch(() => {}),
};

for (const [what, start] of Object.entries(TRAFFIC)) {
  test(`a hub that hangs is noticed under ${what}`, async (t) => {
    const peer = await hubOf(t);
    const { link } = await connected(t, peer, { pingMs: 100, silentMs: 100 });
    const traffic = start(link);
    t.after(() => clearInterval(traffic));
    await until(() => peer.requests.some(({ cmd }) => cmd === 'PUSH' || cmd === 'PULLB' || cmd === 'Ping'));
    hang(peer);
    const [error] = await once(link, 'down');
    assert.equal(error.code, 'HQ_SILENT');
    assert.match(error.message, /did not answer within 0\.2 s/);
  });
}

test('a hub that answers is not given up, however long its answers to polls take', async (t) => {
  const peer = await hubOf(t);
  const { link, downs } = await connected(t, peer, { pingMs: 20, silentMs: 2000 });
  link.request('PULLB').catch(() => {});
  await until(() => peer.requests.filter(({ cmd }) => cmd === 'Ping').length > 20);
  assert.deepEqual(downs, []);
});

test('a large answer that comes slowly is an answer', async (t) => {
  const peer = await hubOf(t);
  const { link, downs } = await connected(t, peer, { pingMs: 200, silentMs: 400 });
  const asked = link.frame('GetJob', {});
  peer.answer = ({ cmd, reqId }, socket) => {
    if (cmd === 'GetJob') {
      const bytes = frame({ ...OK, reqId, data: 'x'.repeat(20_000) });
      const dribble = setInterval(() => socket.write(bytes.subarray(dribble.at, (dribble.at += 500))), 30);
      dribble.at = 0;
      t.after(() => clearInterval(dribble));
    }
    return undefined; // not even pings: one answer is on its way
  };
  assert.equal((await link.send(asked)).data.length, 20_000);
  assert.deepEqual(downs, []);
});

test('a large message that the hub takes slowly is no silence', async (t) => {
  const peer = await hubOf(t);
  const { link, downs } = await connected(t, peer, { pingMs: 100, silentMs: 3000 });
  for (const socket of peer.sockets) {
    socket.prependListener('data', () => {
      socket.pause();
      setTimeout(() => socket.resume(), 10);
    });
  }
  const asked = Date.now();
  await link.request('PUSH', { data: Buffer.alloc(BIG / 2) });
  assert.ok(Date.now() - asked > 3100, 'it took longer than a silence may');
  assert.deepEqual(downs, []);
});

const HUB = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { Peer, OK, frame } = require(workerData);
  const answer = ({ cmd, reqId }, socket) => {
    if (cmd !== 'Ping') {
      return OK;
    }
    setTimeout(() => socket.write(frame({ ...OK, reqId })), 100);
  };
  new Peer(answer).listen().then((peer) => parentPort.postMessage(peer.port));
`;

function block(ms) {
  for (const end = Date.now() + ms; Date.now() < end; );
}

test('a blocked event loop takes no hub for dead', async (t) => {
  const thread = new Worker(HUB, { eval: true, workerData: require.resolve('./support') });
  t.after(() => thread.terminate());
  const [port] = await once(thread, 'message');
  const { link, downs } = await connected(t, { port }, { pingMs: 50, silentMs: 1000 });
  for (let round = 0; round < 3; round += 1) {
    await until(() => link.liveness.pinged !== null && link.liveness.quiet > 1); // the ping is out
    const asked = link.request('Slow', {}, { timeoutMs: 500 });
    block(1500); // the answers come meanwhile
    assert.equal((await asked).ok, true);
  }
  assert.deepEqual(downs, []);
});

test('a blocked event loop does not keep a connection from being made', async (t) => {
  const thread = new Worker(HUB, { eval: true, workerData: require.resolve('./support') });
  t.after(() => thread.terminate());
  const [port] = await once(thread, 'message');
  const link = new Link({ hosts: async () => ['127.0.0.1'], port, connectMs: 1000 });
  t.after(() => link.stop());
  const down = once(link, 'down').then(([error]) => Promise.reject(error));
  down.catch(() => {});
  link.start();
  const up = once(link, 'up');
  setImmediate(block, 1500);
  await Promise.race([up, down]);
});

test('what is ahead of a ping may move, what is behind it says nothing', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const sender = { given: 0, taken: 0 };
  const gone = [];
  let pings = 0;
  const ping = () => {
    pings += 1;
    sender.given += 10;
  };
  const liveness = new Liveness({ connectMs: 1000, pingMs: 1000, silentMs: 1000, sender, ping, gone: (ms) => gone.push(ms) });
  liveness.opened();
  sender.given = 300;
  t.mock.timers.tick(1000);
  assert.equal(pings, 1);
  for (let step = 0; step < 3; step += 1) {
    t.mock.timers.tick(900);
    sender.taken += 100; // slowly, but it moves
  }
  t.mock.timers.tick(50);
  for (let step = 0; step < 9; step += 1) {
    t.mock.timers.tick(100);
    sender.given += 50;
    sender.taken = sender.given; // the ping has left, and more and more behind it
  }
  assert.deepEqual(gone, []);
  t.mock.timers.tick(400);
  assert.deepEqual(gone, [2000]);
  t.mock.timers.tick(5000);
  assert.equal(pings, 1);
});
