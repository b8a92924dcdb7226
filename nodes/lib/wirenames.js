'use strict';
/**
 * Options and jobs under the names of the hub's protocol, which are bunqueue's, and back: by the table of job options
 * (resources/options.js), which has both names of each. By hand is only what has another shape there.
 */

const { options: OPTIONS } = require('../resources/options');
const { HubqueueError } = require('./errors');
const { nearest } = require('./nearest');
const { defined, isMap } = require('./values');

const DOOR = 'node-red'; // in the table
const ENDLESS = 2 ** 31 - 1; // how the hub tells of attempts without a number
const RESERVED = '__'; // names in the data that begin so tie the jobs of a flow
const PARENT_ID = '__parentId';
const PARENT_QUEUE = '__parentQueue';
const CHILDREN_IDS = '__childrenIds';
const VIEWS = new Set(['prioritized', 'paused']); // of waiting
const WAITING = ['waiting', ...VIEWS];
const STATES = ['waiting', 'delayed', 'active', 'waiting-children', 'completed', 'failed'];

/** Of bunqueue's job what says nothing more, or is said by an option in its own shape. */
const SAID = ['customId', 'jobId', 'attempts', 'backoffConfig', 'dedup', 'deduplicationTtl', 'deduplicationExtend', 'deduplicationReplace'];
const OTHERS = { returnvalue: 'result', failedReason: 'error', stacktrace: 'stack' }; // what is no option and has another name
const IDLE = ['debounceId', 'debounceTtl', 'keepLogs', 'sizeLimit'];

const OUTWARD = {
  id: (option, id) => ({ jobId: id }),
  backoff: ({ wire, parts }, said) => ({ [wire]: Object.keys(said).join() === 'delay' ? said.delay : inFull(parts, said) }),
  dedup: ({ wire }, { key, ...rules }) => ({ [wire]: key, ...(Object.keys(rules).length ? { dedup: rules } : {}) }),
  parent: ({ wire }, { id }) => ({ [wire]: id }), // its queue is in the data: withParent
  dependsOn: ({ wire }, ids) => ({ [wire]: ids, childrenIds: ids }), // as children, for their results
};

const INWARD = {
  id: (option, { id, jobId }) => id ?? jobId,
  attempts: ({ wire }, job) => (job[wire] === ENDLESS ? undefined : job[wire]),
  backoff: (option, { backoff, backoffConfig = backoff }) => (isMap(backoffConfig) ? partsOf(option, backoffConfig) : backoffConfig),
  dedup: ({ wire }, { [wire]: key, dedup, deduplicationTtl: ttl, deduplicationExtend: extend, deduplicationReplace: replace }) =>
    key ? told({ key, ...(dedup ?? { ttl, extend, replace }) }) : undefined,
  parent: ({ wire }, { [wire]: id, data }) => (id ? told({ queue: data?.[PARENT_ID] === id ? data[PARENT_QUEUE] : undefined, id }) : undefined),
  onFailure: ({ choices }, job) => choices.find(({ wire }) => job[wire])?.name,
};

/** The fields of PUSH for options as optionsOf gives them. */
function pushOptions(said) {
  const fields = {};
  for (const option of OPTIONS.filter(({ json }) => said[json] !== undefined)) {
    Object.assign(fields, (OUTWARD[option.json] || plain)(option, said[option.json]));
  }
  return fields;
}

function plain({ wire, parts, choices }, value) {
  const flag = choices?.find(({ name }) => name === value).wire ?? value;
  if (flag !== value) {
    return { [flag]: true };
  }
  return { [wire]: value };
}

/** A map with every part, as the hub insists on. */
function inFull(parts, said) {
  return Object.fromEntries(parts.map((part) => [part.wire, said[part.json] ?? part.default]));
}

/** The data of a job with its parent in it; undefined for data that cannot hold that. */
function withParent(data, { id, queue }) {
  const holds = isMap(data) && !Object.keys(data).some((name) => name.startsWith(RESERVED));
  return holds ? { ...data, [PARENT_ID]: id, [PARENT_QUEUE]: queue } : undefined;
}

/**
 * A job as the hub shows it, or as it was pushed, under the names of the table, without the options that it does not have.
 * attemptsMade: the runs that have failed so far. Its data is its producer's own again.
 */
function jobOf(found) {
  const rest = { ...found, state: stateOf(found.state), timeline: found.timeline?.map((step) => ({ ...step, state: stateOf(step.state) })) };
  const options = {};
  for (const option of OPTIONS) {
    const value = (INWARD[option.json] || ((each, job) => job[each.wire]))(option, found);
    options[option.json] = isIdle(option, value) ? undefined : value;
    [option.wire, ...(option.choices ?? []).map(({ wire }) => wire)].forEach((name) => delete rest[name]);
  }
  for (const [wire, json] of Object.entries(OTHERS)) {
    rest[json] = rest[wire];
    delete rest[wire];
  }
  [...SAID, ...IDLE].forEach((name) => delete rest[name]);
  return defined({ ...rest, ...told(options), attemptsMade: found.attempts, data: dataOf(found) });
}

/** Whether it says nothing to those who cannot say it. */
function isIdle({ absent, default: usual }, value) {
  return Object.hasOwn(absent, DOOR) && value === usual;
}

function partsOf({ parts }, value) {
  return told(Object.fromEntries(parts.map((part) => [part.json, value[part.wire]])));
}

/** What says something: an option that is not set is null, false or an empty list. */
function told(options) {
  const isSet = (value) => value !== undefined && value !== null && value !== false && !(Array.isArray(value) && value.length === 0);
  return Object.fromEntries(Object.entries(options).filter(([, value]) => isSet(value)));
}

/** Without the ties that a flow has written into it. What names no relative of the job is its producer's own. */
function dataOf({ data, parentId, childrenIds }) {
  if (!isMap(data)) {
    return data;
  }
  const own = { ...data };
  if (parentId && own[PARENT_ID] === parentId) {
    delete own[PARENT_ID];
    delete own[PARENT_QUEUE];
  }
  if (Array.isArray(own[CHILDREN_IDS]) && own[CHILDREN_IDS].some((id) => childrenIds?.includes(id))) {
    delete own[CHILDREN_IDS];
  }
  return own;
}

function stateOf(word) {
  return VIEWS.has(word) ? 'waiting' : word;
}

/** States as they are asked for: those of waiting jobs have three words there. Errors: HQ_INVALID. */
function statesAsked(states) {
  return states === undefined || states === null ? undefined : [states].flat().flatMap((word) => (word === 'waiting' ? WAITING : [state(word)]));
}

function state(word) {
  if (!STATES.includes(word)) {
    const meant = nearest(String(word), STATES);
    throw new HubqueueError('HQ_INVALID', `there is no state ${JSON.stringify(word)}`, { hint: meant ? `${meant} is meant?` : `there are ${STATES.join(', ')}` });
  }
  return word;
}

module.exports = { pushOptions, withParent, jobOf, statesAsked };
