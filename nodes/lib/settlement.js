'use strict';
/**
 * How a job ends, as the commands of the hub. An outcome is a value:
 *   { kind: 'complete', result }   { kind: 'retry', error, delayMs? }   { kind: 'dead', error }   { kind: 'release', delayMs? }
 */

const COMMANDS = {
  complete: (job, { result }) => ['ACK', { ...job, result }],
  retry: (job, { error, delayMs }) =>
    delayMs === undefined
      ? ['FAIL', { ...job, error }]
      : ['Settle', { settlements: [{ ...job, outcome: 'retry', error, delay: delayMs }] }],
  dead: (job, { error }) => ['FAIL', { ...job, error, unrecoverable: true }],
  release: (job, { delayMs = 0 }) => ['Release', { ...job, delay: delayMs }],
};

/** What msg.job.state says afterwards. */
const STATES = { complete: 'completed', retry: 'retry', dead: 'dead', release: 'released' };

/** The command, as [name, fields], that settles a leased job. */
function commandOf({ id, token }, outcome) {
  return COMMANDS[outcome.kind]({ id, token }, outcome);
}

module.exports = { commandOf, STATES };
