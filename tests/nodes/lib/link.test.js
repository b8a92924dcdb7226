'use strict';
const assert = require('node:assert/strict');
const { test } = require('node:test');
const { generateKeyPairSync } = require('node:crypto');
const { once } = require('node:events');
const { lib, Peer, OK, until } = require('./support');
const { Link } = lib('link');
const { Backoff } = lib('backoff');
const { reasonOf } = lib('reasons');

function linkTo(t, peer, more = {}) {
  const link = new Link({ hosts: async () => ['127.0.0.1'], port: peer.port, ...more });
  link.backoff.next = () => 20;
  t.after(async () => {
    link.stop();
    await peer.close();
  });
  link.start();
  return link;
}

test('the token is shown first, then the hub says who it is', async (t) => {
  const peer = await new Peer(() => OK).listen();
  const link = linkTo(t, peer, { token: 'secret' });
  const [hello] = await once(link, 'up');
  assert.equal(hello.hubId, 'peer');
  assert.deepEqual(peer.requests.map(({ cmd }) => cmd), ['Auth', 'Hello']);
  assert.equal(peer.requests[0].token, 'secret');
  assert.equal(peer.requests[1].api, OK.api);
});

test('replies find their requests whatever their order', async (t) => {
  const held = [];
  const peer = await new Peer((request, socket) => {
    if (request.cmd === 'Hello') {
      return OK;
    }
    held.push([request, socket]);
    return undefined;
  }).listen();
  const link = linkTo(t, peer);
  await once(link, 'up');
  const answers = Promise.all([link.request('A'), link.request('B')]);
  await until(() => held.length === 2);
  const { frame } = require('./support');
  for (const [{ reqId, cmd }, socket] of held.reverse()) {
    socket.write(frame({ reqId, ok: true, cmd }));
  }
  assert.deepEqual((await answers).map(({ cmd }) => cmd), ['A', 'B']);
});

test('errors of the hub keep their code and hint', async (t) => {
  const replies = {
    Hello: OK,
    A: { ok: false, error: 'full', code: 'queue_full', retryable: true, hint: 'wait' },
    B: { ok: false, error: 'gone', code: 'lock_lost' },
    C: { ok: false, error: 'later', code: 'draining', retryable: true },
  };
  const peer = await new Peer(({ cmd }) => replies[cmd]).listen();
  const link = linkTo(t, peer);
  await once(link, 'up');
  await assert.rejects(link.request('A'), { code: 'HQ_QUEUE_FULL', message: 'full (wait)', retryable: false });
  await assert.rejects(link.request('B'), { code: 'HQ_LEASE_LOST', retryable: false });
  await assert.rejects(link.request('C'), { code: 'HQ_DRAINING', retryable: true });
});

test('a broken link fails what is unanswered and comes back', async (t) => {
  const peer = await new Peer(({ cmd }) => (cmd === 'Hello' ? OK : undefined)).listen();
  const link = linkTo(t, peer);
  await once(link, 'up');
  const asked = link.request('Slow');
  await until(() => peer.requests.length === 2);
  peer.drop();
  await assert.rejects(asked, { code: 'HQ_OFFLINE' });
  await assert.rejects(link.request('Now'), { code: 'HQ_OFFLINE' });
  await once(link, 'up');
});

test('a peer that accepts and says nothing is given up', async (t) => {
  const peer = await new Peer(() => undefined).listen();
  const link = linkTo(t, peer, { connectMs: 50 });
  const [error] = await once(link, 'down');
  assert.match(error.message, /did not answer/);
});

test('a peer that says nothing in the TLS handshake is given up', async (t) => {
  const peer = new Peer(() => undefined);
  peer.serve = (socket) => peer.sockets.add(socket.on('error', () => {}));
  await peer.listen();
  const link = linkTo(t, peer, { tlsOptions: {}, connectMs: 100 });
  const [error] = await once(link, 'down');
  assert.equal(error.code, 'HQ_SILENT');
});

test('a wrong token is not tried all the time', async (t) => {
  const peer = await new Peer(() => ({ ok: false, error: 'Invalid token', code: 'not_authenticated' })).listen();
  const link = linkTo(t, peer, { token: 'wrong' });
  const [error] = await once(link, 'down');
  assert.equal(error.code, 'HQ_NOT_AUTHENTICATED');
  assert.equal(peer.requests.length, 1);
  assert.ok(link.timer._idleTimeout >= 30_000); // the wait before the next try
});

test('hosts are tried in turn', async (t) => {
  const peer = await new Peer(() => OK).listen();
  const link = linkTo(t, peer, { hosts: async () => ['name.invalid', '127.0.0.1'] });
  await once(link, 'up');
  assert.equal(link.host, '127.0.0.1');
});

test('a cancelled poll is answered with nothing, unless a job was quicker', async (t) => {
  const peer = await new Peer(({ cmd }) => ({ Hello: OK, CancelPoll: { ok: true, cancelled: true } })[cmd]).listen();
  const link = linkTo(t, peer);
  await once(link, 'up');
  const frame = link.frame('PULLB', {});
  const poll = link.send(frame);
  await link.cancel(frame);
  assert.deepEqual((await poll).jobs, []);
});

test('waits double between their bounds, with jitter, and start anew after a healthy time', () => {
  const low = new Backoff(() => 0);
  const high = new Backoff(() => 1);
  low.between(400, 3000);
  high.between(400, 3000);
  const waits = Array.from({ length: 5 }, () => [low.next(), high.next()]);
  assert.deepEqual(waits, [[200, 400], [400, 800], [800, 1600], [1500, 3000], [1500, 3000]]);
  low.lasted(2999);
  assert.equal(low.next(), 1500);
  low.lasted(3000);
  assert.equal(low.next(), 200);
});

test('a hub that comes back after five seconds is used within ten', async () => {
  const backoff = new Link({ hosts: async () => [] }).backoff; // with the bounds that are standard
  backoff.random = () => 1;
  let triedAt = 0;
  while (triedAt < 5000) {
    triedAt += backoff.next();
  }
  assert.ok(triedAt < 10_000, `it is tried after ${triedAt} ms`);
});

test('who is in a hurry does not wait for the next try', async (t) => {
  const peer = await new Peer(() => OK).listen();
  const link = linkTo(t, peer);
  await once(link, 'up');
  link.backoff.next = () => 60_000;
  peer.drop();
  await once(link, 'down');
  link.hurry();
  link.hurry(); // one connection all the same
  await once(link, 'up');
  link.hurry();
  assert.equal(peer.sockets.size, 1);
  link.stop();
  link.hurry();
  assert.equal(link.state, 'down');
});

test('what is no hub of ours, or speaks another API, is not used, and tried again', async (t) => {
  const refused = [
    [{ ...OK, api: OK.api - 1 }, 'HQ_UPDATE_HUB', /version 0, .* \(update the hub; /],
    [{ ...OK, api: undefined }, 'HQ_UPDATE_HUB', /update the hub; /],
    [{ ...OK, api: OK.api + 1 }, 'HQ_UPDATE_NODES', /update the nodes in Node-RED; /],
    [{ ...OK, server: 'bunqueue' }, 'HQ_PROTOCOL', /no hubqueue: bunqueue/],
    [{ ok: true }, 'HQ_PROTOCOL', /it does not say what it is/],
  ];
  for (const [hello, code, words] of refused) {
    const peer = await new Peer(() => hello).listen();
    const link = linkTo(t, peer);
    const [error] = await once(link, 'down');
    assert.equal(error.code, code);
    assert.match(error.message, words);
    await once(link, 'connecting');
    link.stop();
  }
});

test('why there is no connection is one word', () => {
  const { reasonOf } = lib('reasons');
  const words = {
    refused: ['HQ_NOT_AUTHENTICATED'],
    certificate: ['DEPTH_ZERO_SELF_SIGNED_CERT', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'CERT_HAS_EXPIRED', 'ERR_TLS_CERT_ALTNAME_INVALID', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'],
    unknownHost: ['ENOTFOUND', 'EAI_AGAIN'],
    noHub: ['HQ_PROTOCOL', 'ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG'],
    updateHub: ['HQ_UPDATE_HUB'],
    updateNodes: ['HQ_UPDATE_NODES'],
    disconnected: ['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'HQ_OFFLINE', 'HQ_SILENT', 'constructor', undefined],
  };
  for (const [word, codes] of Object.entries(words)) {
    assert.deepEqual(codes.map((code) => reasonOf({ code })), codes.map(() => word));
  }
});

test('the first try is waited for, however it ends, and no later one', async (t) => {
  const peer = await new Peer(() => OK).listen();
  const link = linkTo(t, peer);
  await link.firstTry();
  assert.equal(link.up, true);
  peer.drop();
  await once(link, 'down');
  await link.firstTry(); // at once
  const closed = new Link({ hosts: async () => ['127.0.0.1'], port: 1 });
  await closed.firstTry(); // nobody wants it
  closed.start();
  await closed.firstTry();
  assert.equal(closed.state, 'down');
  closed.stop();
});

test('a private key that cannot be read is a matter of certificates', async (t) => {
  const peer = await new Peer(() => OK).listen();
  const locked = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'hush' };
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256', publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: locked });
  for (const tlsOptions of [{ key: privateKey, passphrase: 'wrong' }, { key: privateKey }, { ca: 'no PEM', key: 'no PEM' }]) {
    const link = linkTo(t, peer, { tlsOptions });
    const [error] = await once(link, 'down');
    link.stop();
    assert.equal(reasonOf(error), 'certificate', error.code);
  }
});

test('an answer that has come while the event loop was blocked is not too late', async (t) => {
  const peer = await new Peer(({ cmd }) => {
    const end = Date.now() + (cmd === 'A' ? 200 : 0);
    while (Date.now() < end);
    return OK;
  }).listen();
  const link = linkTo(t, peer);
  await once(link, 'up');
  assert.equal((await link.request('A', {}, { timeoutMs: 100 })).hubId, 'peer');
});
