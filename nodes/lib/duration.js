'use strict';
/** Durations as people write them: 500ms, 30s, 5m, 2h, 1d. */

const { types } = require('node:util');
const { parseDuration } = require('../resources/rules');
const { HubqueueError } = require('./errors');
const { wordsOf } = require('./values');

/**
 * Milliseconds, or undefined for nothing. In dialogs a bare number is seconds (bare: 's'); in messages a number is
 * milliseconds and a text needs a unit. Errors: HQ_INVALID naming `what`.
 */
function toMs(value, what, { bare = null } = {}) {
  if (value === undefined || value === null || value === '') {
    return undefined;
  }
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) {
    return Math.round(bare === null ? value : value * parseDuration(1, bare));
  }
  const ms = typeof value === 'string' ? parseDuration(value, bare) : undefined;
  if (ms === undefined) {
    throw new HubqueueError('HQ_INVALID', `${what} is no duration: ${wordsOf(value)}`, { hint: 'write 500ms, 30s, 5m, 2h or 1d' });
  }
  return ms;
}

/** A moment as Unix milliseconds: a number, a Date or a text that Date reads. Errors: HQ_INVALID. */
function toMoment(value, what) {
  if (value === undefined || value === null || value === '') {
    return undefined;
  }
  const ms = typeof value === 'number' ? value : typeof value === 'string' || types.isDate(value) ? new Date(value).getTime() : NaN;
  if (!Number.isFinite(ms)) {
    throw new HubqueueError('HQ_INVALID', `${what} is no time: ${wordsOf(value)}`, { hint: 'milliseconds, a Date or an ISO text' });
  }
  return ms;
}

/** A duration for a status line, in at most four characters. */
function brief(ms) {
  const [unit, size] = Object.entries({ d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000 }).find(([, each]) => ms >= each) || ['ms', 1];
  return `${Math.round(ms / size)}${unit}`;
}

module.exports = { toMs, toMoment, brief };
