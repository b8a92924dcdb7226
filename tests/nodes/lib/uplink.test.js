'use strict';
/** What a forward node tells the hub of its target, with keys as Node.js makes them. */

const assert = require('node:assert/strict');
const { createPrivateKey, generateKeyPairSync } = require('node:crypto');
const { test } = require('node:test');
const { forwarderOf, troubleOf } = require('../../../nodes/lib/uplink');

const made = (tls, to = 'hub') => forwarderOf({ queue: 'q', to, target: 'there', tls });

test('an address without a scheme is encrypted where there is a TLS configuration', () => {
  assert.equal(made(null).to, 'tcp://hub:6789');
  assert.equal(made({}).to, 'tls://hub:6789');
  assert.equal(made({}, 'TLS://Hub:1/').to, 'tls://Hub:1');
});

test('without certificates the hub is told to forget those it has', () => {
  const { caCert, clientCert, token } = made(null);
  assert.deepEqual([caCert, clientCert, token], [null, null, null]);
  assert.equal('verify' in made({ rejectUnauthorized: true }), false);
  assert.equal(made({ rejectUnauthorized: false }).verify, false);
  assert.equal(made({ servername: 'central' }).serverName, 'central');
});

test('texts and buffers of files are sent as text, a key without its passphrase', () => {
  const locked = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'hush' };
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256', publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: locked });
  const { caCert, clientCert } = made({ ca: Buffer.from('CA'), cert: 'CERT', key: Buffer.from(privateKey), passphrase: 'hush' });
  assert.equal(caCert, 'CA');
  assert.match(clientCert, /^CERT\n-----BEGIN PRIVATE KEY-----/);
  assert.equal(createPrivateKey(clientCert.slice(5)).asymmetricKeyType, 'ec');
  assert.throws(() => made({ cert: 'CERT', key: privateKey, passphrase: 'wrong' }), { code: 'HQ_INVALID', message: /passphrase right/ });
  assert.throws(() => made({ pfx: Buffer.from('x') }), { code: 'HQ_INVALID', message: /PKCS#12/ });
});

test('why nothing reaches the target has a code, and nothing is said of what is not known yet', () => {
  const code = (reason) => troubleOf({ link: 'down', reason, error: 'words' }).code;
  assert.deepEqual(['tls', 'auth', 'protocol', 'quota', 'disk_full', 'timeout', 'constructor'].map(code), [
    ...['HQ_TARGET_TLS', 'HQ_TARGET_AUTH', 'HQ_TARGET_PROTOCOL', 'HQ_TARGET_BUSY', 'HQ_TARGET_FULL', 'HQ_TARGET_OFFLINE', 'HQ_TARGET_ERROR'],
  ]);
  assert.equal(troubleOf({ link: 'down', reason: 'tls', error: 'words' }).message, 'words');
  assert.equal(troubleOf({ link: 'up', reason: null }), null);
  for (const link of ['down', 'probing', 'idle']) {
    assert.equal(troubleOf({ link, reason: null }), undefined);
  }
});
