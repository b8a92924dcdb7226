'use strict';
/**
 * Where the hub is when nobody said so: this machine, or, inside an app of Home Assistant, the hubqueue app. Its host
 * name is its slug with dashes (a1b2c3d4-hubqueue), which depends on the repository it came from: the Supervisor knows.
 */

const { HubqueueError } = require('./errors');

const HERE = '127.0.0.1';
const LOCAL_APP = 'local-hubqueue'; // an app of the folder /addons
const SUPERVISOR = 'http://supervisor';
const ANSWER_MS = 5000;

/** The host names to try in turn. */
async function hostsOf(configured, { env = process.env, supervisor = SUPERVISOR } = {}) {
  if (configured) {
    return [configured];
  }
  if (!env.SUPERVISOR_TOKEN) {
    return [HERE];
  }
  try {
    return await appHosts(env.SUPERVISOR_TOKEN, supervisor);
  } catch {
    return [LOCAL_APP, HERE]; // the Supervisor is busy, or does not tell
  }
}

async function appHosts(token, supervisor) {
  const headers = { authorization: `Bearer ${token}` };
  const answer = await fetch(`${supervisor}/addons`, { headers, signal: AbortSignal.timeout(ANSWER_MS) });
  if (!answer.ok) {
    throw new HubqueueError('HQ_SUPERVISOR', `the Supervisor answered ${answer.status}`);
  }
  const { data } = await answer.json();
  const apps = data.addons.filter(({ slug }) => slug.endsWith('_hubqueue'));
  const started = apps.filter(({ state }) => state === 'started');
  const names = [...new Set([...started, ...apps])].map(({ slug }) => slug.replaceAll('_', '-'));
  return names.length ? names : [LOCAL_APP, HERE];
}

module.exports = { hostsOf };
