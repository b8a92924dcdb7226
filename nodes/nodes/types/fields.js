'use strict';
/** How nodes read their typed fields: a text, a property of the message, an environment variable, an expression. */

const { setTimeout: sleep } = require('node:timers/promises');

const REST_MS = 1000;

/** The value of a typed field; undefined when the field is blank, or what it names is an empty text. */
async function read(RED, node, msg, value, type) {
  const { found } = await valueOf(RED, node, msg, value, type);
  return found === '' ? undefined : found;
}

/** The value of a typed field as { found }, an empty text too, and a Promise as such; undefined when the field is blank. */
function valueOf(RED, node, msg, value, type = 'str') {
  if (value === undefined || value === null || (value === '' && type !== 'date')) {
    return Promise.resolve({ found: undefined });
  }
  if (type === 'jsonata') {
    return evaluate(RED, node, msg, value);
  }
  return new Promise((resolve, reject) => {
    RED.util.evaluateNodeProperty(value, type, node, msg, (error, found) => (error ? reject(error) : resolve({ found })));
  });
}

function evaluate(RED, node, msg, source) {
  return new Promise((resolve, reject) => {
    const expression = RED.util.prepareJSONataExpression(source, node);
    RED.util.evaluateJSONataExpression(expression, msg, (error, found) => (error ? reject(error) : resolve({ found })));
  });
}

/** A field of a dialog that holds a text or number: undefined when it is blank. */
function plain(value) {
  return value === undefined || value === null || value === '' ? undefined : value;
}

/** Runs async steps of one node one after another, so that messages keep their order. */
class InOrder {
  constructor() {
    this.last = Promise.resolve();
  }

  run(step) {
    const turn = this.last.then(step);
    this.last = turn.catch(() => {});
    return turn;
  }

  /** Resolves when all steps are done, or after a second: one may hang. */
  rest() {
    return Promise.race([this.last, sleep(REST_MS, undefined, { ref: false })]);
  }
}

/** An async step, one run at a time: however often it is asked for during a run, one more follows. It must not fail. */
class Repeated {
  constructor(step) {
    Object.assign(this, { step, wanted: false, running: null });
  }

  /** Answers when all that is wanted has been done. */
  run() {
    this.wanted = true;
    this.running ??= this.rounds();
    return this.running;
  }

  async rounds() {
    while (this.wanted) {
      this.wanted = false;
      await this.step();
    }
    this.running = null;
  }
}

module.exports = { read, valueOf, plain, InOrder, Repeated };
