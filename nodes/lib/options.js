'use strict';
/**
 * What may be said of a new job in msg.enqueue and in the dialogs, by the table of job options (resources/options.js):
 * which options there are, what each holds, its bounds. Durations and times become milliseconds.
 */

const { toMoment, toMs } = require('./duration');
const { HubqueueError } = require('./errors');
const { nearest } = require('./nearest');
const { isMap, wordsOf } = require('./values');
const { options: ALL } = require('../resources/options');

const DOOR = 'node-red';
const SHOWN = 100; // characters of a wrong value
const OPTIONS = ALL.filter(({ absent }) => !Object.hasOwn(absent, DOOR));
const TWO_THINGS = { key: 'group (jobs that keep their order) or dedup.key' };
const UNBOUNDED = { tags: { max: Infinity, maxLength: Infinity } }; // what is no tag of the hub's is kept in pieces: jobs.js

const READERS = { integer, number, duration, time, boolean, text, texts, choice, map };

/**
 * The options that are said, by their names in JSON. `own` are the node's, `asked` those of msg.enqueue: an own one wins,
 * of a map each of its parts. Errors: HQ_INVALID.
 */
function optionsOf(asked, own) {
  const said = {};
  for (const option of OPTIONS) {
    const mine = read(option, own[option.json], option.json);
    const theirs = mine === undefined || option.parts ? read(option, asked[option.json], `msg.enqueue.${option.json}`) : undefined;
    const value = option.parts && mine && theirs ? { ...theirs, ...mine } : (mine ?? theirs);
    if (value !== undefined) {
      said[option.json] = whole(option, value);
    }
  }
  for (const { json, needs } of OPTIONS) {
    const other = needs && OPTIONS.find(({ name }) => name === needs).json;
    if (other && json in said && !(other in said)) {
      throw invalid(`${json} needs ${other} too`);
    }
  }
  return said;
}

/** The object itself. rows: of the table; others: names beside them. Errors: HQ_INVALID for a name that means nothing. */
function known(object, rows, what, others = []) {
  const names = [...others, ...rows.map(({ json }) => json)];
  const unknown = Object.keys(object).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    const why = ALL.find(({ json }) => json === unknown)?.absent[DOOR];
    const meant = elsewhere(unknown, rows) ?? nearest(unknown.slice(0, SHOWN), names);
    throw invalid(`${what} has no option ${shown(unknown)}`, why ?? (meant ? `${meant} is meant?` : `there are ${names.join(', ')}`));
  }
  return object;
}

/** What is called so in Python or on the wire, or is a part. */
function elsewhere(written, rows) {
  if (rows === OPTIONS && Object.hasOwn(TWO_THINGS, written)) {
    return TWO_THINGS[written];
  }
  const named = rows.find(({ name, wire, choices = [] }) => [name, wire, ...choices.map((each) => each.wire)].includes(written));
  const [whole] = rows.filter(({ parts = [] }) => parts.some(({ json }) => json === written));
  return named?.json ?? (whole && `${whole.json}.${written}`);
}

function read(option, value, what) {
  return value === undefined || value === null || value === '' ? undefined : READERS[option.kind]({ ...option, ...UNBOUNDED[option.json] }, value, what);
}

/** The value itself. Errors: HQ_INVALID for a map that lacks a part. */
function whole({ json, parts = [] }, value) {
  const missing = parts.find((part) => part.required && value[part.json] === undefined);
  if (missing) {
    throw invalid(`${json} needs ${missing.json}`, `set it in the node, or in msg.enqueue.${json}.${missing.json}`);
  }
  return value;
}

/** Only a number or a text is read as one: Number([]) is 0. */
function number({ min, max }, value, what, isNumber = Number.isFinite, kind = 'number') {
  const found = typeof value === 'number' || (typeof value === 'string' && value.trim() !== '') ? Number(value) : NaN;
  if (!isNumber(found) || found < min || found > max) {
    throw invalid(`${what} must be a ${kind} from ${min} to ${max}: ${shown(value)}`);
  }
  return found;
}

function integer(option, value, what) {
  return number(option, value, what, Number.isInteger, 'whole number');
}

function duration({ min, max }, value, what) {
  const ms = toMs(value, what);
  if (ms < min || ms > max) {
    throw invalid(`${what} must be ${min} to ${max} ms: ${ms}`);
  }
  return ms;
}

function time(option, value, what) {
  return number(option, toMoment(value, what), what);
}

function boolean(option, value, what) {
  if (typeof value !== 'boolean') {
    throw invalid(`${what} must be true or false, not ${shown(value)}`);
  }
  return value;
}

function text({ max }, value, what) {
  const found = typeof value === 'number' ? String(value) : value;
  if (typeof found !== 'string' || !found.isWellFormed()) {
    throw invalid(`${what} must be a text, not ${shown(value)}`);
  }
  if (isLonger(found, max)) {
    throw invalid(`${what} must have at most ${max} characters: ${shown(found)}`, 'a hash of it does as well');
  }
  return found;
}

function texts({ max, maxLength }, value, what) {
  if (!Array.isArray(value) || !value.every((each) => typeof each === 'string')) {
    throw invalid(`${what} must be a list of texts, not ${shown(value)}`);
  }
  if (value.length > max || value.some((each) => isLonger(each, maxLength))) {
    throw invalid(`${what} must be at most ${max} texts of ${maxLength} characters`);
  }
  return value;
}

function choice({ choices }, value, what) {
  const names = choices.map(({ name }) => name);
  if (!names.includes(value)) {
    throw invalid(`${what} must be one of ${names.join(', ')}, not ${shown(value)}`);
  }
  return value;
}

/** Of its parts, or the one that stands for all. */
function map({ json, parts, short }, value, what) {
  if (!isMap(value)) {
    if (!short || Array.isArray(value)) {
      throw invalid(`${what} must be an object of ${parts.map((part) => part.json).join(', ')}, not ${shown(value)}`);
    }
    return { [short]: read(parts.find(({ name }) => name === short), value, what) };
  }
  known(value, parts, json);
  const said = parts.map((part) => [part.json, read(part, value[part.json], `${what}.${part.json}`)]).filter(([, each]) => each !== undefined);
  return said.length ? Object.fromEntries(said) : undefined;
}

/** More characters than that: JavaScript counts half ones. */
function isLonger(value, most) {
  return value.length > most && [...value].length > most;
}

function shown(value) {
  return wordsOf(typeof value === 'string' ? JSON.stringify(value) : value).slice(0, SHOWN);
}

function invalid(message, hint) {
  return new HubqueueError('HQ_INVALID', message, { hint });
}

module.exports = { OPTIONS, optionsOf, known, shown };
