'use strict';
/** The node set: one file for each type, in types/; what they share without Node-RED is in ../lib. */

module.exports = function hubqueue(RED) {
  for (const type of ['server', 'enqueue', 'worker', 'result', 'forward', 'control', 'events']) {
    require(`./types/${type}`)(RED);
  }
  require('./types/admin')(RED);
};
