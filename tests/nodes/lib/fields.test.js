'use strict';
/** The rules of the dialogs' fields, at their edges. */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { FIELDS, meaning } = require('../../../nodes/resources/fields');
const { kindOf } = require('../../../nodes/lib/kinds');
const { forwarderOf } = require('../../../nodes/lib/uplink');
const { options } = require('../../../nodes/resources/options');

const parse = { jsonata: () => {}, property: () => {} };
const judge = (type, name, value, { config = {}, variables = false } = {}) => {
  try {
    return meaning(FIELDS[`hubqueue-${type}`][name], value, { others: (other) => config[other], parse, variables });
  } catch (refusal) {
    return refusal.key;
  }
};

test('a timer that JavaScript would fire at once is refused', () => {
  assert.equal(judge('events', 'interval', '24d'), 24 * 86_400_000);
  assert.equal(judge('events', 'interval', '25d'), 'between');
  assert.equal(judge('worker', 'timeout', '25d'), 'between');
  assert.equal(judge('events', 'interval', '999ms'), 'between');
});

test('a blank field means its standard, or is needed', () => {
  for (const blank of ['', ' ', undefined, null]) {
    assert.equal(judge('worker', 'concurrency', blank), 1);
    assert.equal(judge('server', 'port', blank), 6789);
    assert.equal(judge('enqueue', 'delay', blank), undefined);
    assert.equal(judge('worker', 'queue', blank), 'needed');
    assert.equal(judge('enqueue', 'expression', blank, { config: { store: 'jsonata' } }), 'needed');
    assert.equal(judge('enqueue', 'expression', blank, { config: { store: 'payload' } }), undefined);
  }
});

test('the longest wait is not below the shortest, as far as that is known', () => {
  const longest = (value, shortestWait, more) => judge('server', 'longestWait', value, { config: { shortestWait }, ...more });
  assert.equal(longest('2s', '2s'), 2000);
  assert.equal(longest('2s', '3s'), 'belowShortest');
  assert.equal(longest('400ms', ''), 'belowShortest'); // of half a second
  assert.equal(longest('', '1m'), 'belowShortest');
  assert.equal(longest('2s', 'soon'), 2000); // that field says so itself
  assert.equal(longest('2s', '${HQ_WAIT}', { variables: true }), 2000);
  assert.equal(longest('${HQ_WAIT}', '1m', { variables: true }), undefined);
});

test('an environment variable may stand in the dialog, alone, and not in what is deployed', () => {
  assert.equal(judge('server', 'port', '${HQ_PORT}', { variables: true }), undefined);
  assert.equal(judge('server', 'port', '${HQ_PORT}'), 'variable');
  assert.equal(judge('server', 'port', '1${HQ_PORT}', { variables: true }), 'wholeBetween');
});

test('hosts and addresses are taken in every form that the hub knows, and in no other', () => {
  for (const host of ['hub', 'hub.local', '192.0.2.7', '::1', 'fe80::1%eth0', 'küche.example']) {
    assert.equal(judge('server', 'host', host), host);
  }
  for (const wrong of ['tcp://hub', 'hub:6789', 'a b', '[::1]', 'hub/x']) {
    assert.equal(judge('server', 'host', wrong), 'host');
  }
  for (const wrong of ['http://hub', 'hub:0', 'hub:65536', 'tcp://hub/x', 'tcp://user@hub', '']) {
    assert.match(judge('forward', 'to', wrong), /address|needed/);
  }
  for (const [to, full] of [['hub', 'tcp://hub:6789'], ['tls://hub/', 'tls://hub:6789'], ['tls://hub:1/', 'tls://hub:1'], ['[::1]:7', 'tcp://[::1]:7']]) {
    assert.equal(forwarderOf({ queue: 'q', to: judge('forward', 'to', to) }).to, full);
  }
});

test('a TLS configuration goes with every address but an unencrypted one', () => {
  for (const to of ['hub', 'tls://hub', '', undefined, '${HQ_TO}']) {
    assert.equal(judge('forward', 'tls', 'id', { config: { to } }), 'id');
  }
  for (const to of ['tcp://hub', ' TCP://hub']) {
    assert.equal(judge('forward', 'tls', 'id', { config: { to } }), 'plain');
    assert.equal(judge('forward', 'tls', '', { config: { to } }), undefined);
    assert.equal(judge('forward', 'tls', '_ADD_', { config: { to } }), undefined);
  }
});

test('every field has its label in every language, and every refusal its words', () => {
  const folder = path.join(__dirname, '..', '..', '..', 'nodes');
  const source = ['rules', 'fields'].map((name) => fs.readFileSync(path.join(folder, 'resources', `${name}.js`), 'utf8')).join();
  const refusals = [...source.matchAll(/Refusal\('(\w+)'|like\(\w+, '(\w+)'\)/g)].map(([, thrown, formed]) => thrown ?? formed);
  assert.ok(refusals.length > 15);
  const labels = Object.values(FIELDS).flatMap((each) => Object.values(each)).map((field) => field.label);
  for (const language of ['en-US', 'de']) {
    const { label, errors } = require(path.join(folder, 'nodes', 'locales', language, 'hubqueue.json')).hubqueue;
    assert.deepEqual(labels.filter((name) => !label[name]), []);
    assert.deepEqual(refusals.filter((name) => !errors[name]), []);
  }
});

test('a field for an option of a job has the bounds of the table', () => {
  const written = { integer: String, duration: (ms) => `${ms}ms`, text: (length) => 'x'.repeat(length) };
  const mine = options.filter(({ json, kind }) => json in FIELDS['hubqueue-enqueue'] && kind in written);
  assert.deepEqual(mine.map(({ json }) => json), ['priority', 'delay', 'attempts', 'ttl', 'keepTrying', 'group']);
  for (const { json, kind, min, max } of mine) {
    const at = written[kind];
    assert.ok([max, at(max)].includes(judge('enqueue', json, at(max))), json);
    assert.match(judge('enqueue', json, at(max + 1)), /^(between|wholeBetween|characters)$/, json);
    if (min > 0 && kind !== 'text') {
      assert.match(judge('enqueue', json, at(min - 1)), /^(between|wholeBetween)$/, json);
    }
  }
  assert.equal(judge('enqueue', 'dedupTtl', '0s'), 'between');
  assert.equal(judge('enqueue', 'backoff', '25h'), 'between');
  assert.equal(judge('forward', 'ttl', '366d'), 'between');
});

test('a select offers what its rule takes, and the events node every kind that the hub tells', () => {
  const html = fs.readFileSync(path.join(__dirname, '..', '..', '..', 'nodes', 'nodes', 'hubqueue.html'), 'utf8');
  let selects = 0;
  for (const [, type, template] of html.matchAll(/data-template-name="hubqueue-(\w+)">(.*?)<\/script>/gs)) {
    for (const [, name, content] of template.matchAll(/<select id="node-input-(\w+)"[^>]*>(.*?)<\/select>/gs)) {
      const offered = [...content.matchAll(/value="(\w+)"/g)].map(([, value]) => value);
      assert.throws(() => meaning(FIELDS[`hubqueue-${type}`][name], 'nothing of all', { others: () => undefined }), { values: { known: offered.join(', ') } });
      selects += 1;
    }
  }
  assert.equal(selects, 8);
  const told = ['pushed', 'waiting', 'delayed', 'pulled', 'progress', 'completed', 'failed', 'stalled', 'removed', 'expired', 'duplicated'];
  for (const eventType of [...told, 'evicted', 'paused', 'resumed', 'forwarded', 'rejected', 'forwarder:link']) {
    assert.deepEqual(judge('events', 'kinds', [kindOf({ eventType })]), [kindOf({ eventType })]);
  }
});
