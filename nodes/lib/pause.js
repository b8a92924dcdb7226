'use strict';
/** A wait that keeps no process alive. */

const { setTimeout: sleep } = require('node:timers/promises');

/** Resolves after so many ms. */
function pause(ms) {
  return sleep(ms, undefined, { ref: false });
}

module.exports = { pause };
