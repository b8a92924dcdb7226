'use strict';
/**
 * How a job ends, as the commands of the hub. An outcome is a value:
 *   { kind: 'complete', result }   { kind: 'retry', error, delayMs? }   { kind: 'reject', error }   { kind: 'release', delayMs? }
 */

const COMMANDS = {
  complete: (job, { result }) => ['ACK', { ...job, result }],
  retry: (job, { error, delayMs }) =>
    delayMs === undefined
      ? ['FAIL', { ...job, error }]
      : ['Settle', { settlements: [{ ...job, outcome: 'retry', error, delay: delayMs }] }],
  reject: (job, { error }) => ['FAIL', { ...job, error, unrecoverable: true }],
  release: (job, { delayMs = 0 }) => ['Release', { ...job, delay: delayMs }],
};

/** The command, as [name, fields], that settles a leased job. */
function commandOf({ id, token }, outcome) {
  return COMMANDS[outcome.kind]({ id, token }, outcome);
}

module.exports = { commandOf };
