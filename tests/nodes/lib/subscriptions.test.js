'use strict';
const assert = require('node:assert/strict');
const { test } = require('node:test');
const { once } = require('node:events');
const { lib, Peer, OK, until } = require('./support');
const { Link } = lib('link');
const { Subscriptions } = lib('subscriptions');

const REFUSED = { ok: false, code: 'forbidden', error: 'not with this token' };

test('everybody who listens is told that the hub refuses, who comes later too', async (t) => {
  const peer = await new Peer(({ cmd }) => (cmd === 'SubscribeEvents' ? REFUSED : OK)).listen();
  const link = new Link({ hosts: async () => ['127.0.0.1'], port: peer.port });
  t.after(async () => {
    link.stop();
    await peer.close();
  });
  link.start();
  await once(link, 'up');
  const subscriptions = new Subscriptions(link);
  const told = [];
  const listen = (name) => subscriptions.add('q', () => {}, ({ code }) => told.push(`${name} ${code}`));
  listen('first');
  await until(() => told.length === 1);
  listen('gone')();
  listen('later');
  await until(() => told.length === 2);
  assert.deepEqual(told, ['first HQ_FORBIDDEN', 'later HQ_FORBIDDEN']);
});
