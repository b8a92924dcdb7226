'use strict';
/**
 * Every word and colour a node shows, in one place. A ring asks for attention or says "not there", a dot says "there".
 * Words alone are sent as keys, which the editor translates; with a number `t` does it here. They stay below twenty
 * characters. Lamp keeps a node from showing more than four a second.
 */

const { brief } = require('./duration');
const { reasonOf } = require('./reasons');

const SPACING_MS = 250;

const ERRORS = { HQ_FORBIDDEN: 'forbidden', HQ_DUPLICATE: 'taken' }; // by the token; the buffer of a forward node
const TARGETS = {
  HQ_TARGET_TLS: 'targetTls',
  HQ_TARGET_AUTH: 'targetRefused',
  HQ_TARGET_PROTOCOL: 'targetNoHub',
  HQ_TARGET_FULL: 'targetFull',
  HQ_TARGET_BUSY: 'targetBusy',
  HQ_TARGET_OFFLINE: 'targetOffline',
};

const ring = (fill, text) => ({ fill, shape: 'ring', text });
const dot = (fill, text) => ({ fill, shape: 'dot', text });

/** The statuses of all nodes in the language of `t`. */
function statuses(t) {
  const word = (key, values) => (values === undefined ? `hubqueue.status.${key}` : t(`hubqueue.status.${key}`, values));
  return {
    unconfigured: () => ring('red', word('unconfigured')),
    wrong: (field) => ring('red', word('wrong', { field })),
    link: ({ trouble }) => (trouble ? ring('red', word(reasonOf(trouble))) : ring('yellow', word('connecting'))), // also while it is tried again
    offline: ({ trouble }) => (needsAPerson(trouble) ? ring('red', word(reasonOf(trouble))) : ring('grey', word('notConnected'))), // of a node that holds what comes
    held: ({ outbox, link }) => {
      const n = outbox.waiting;
      if (outbox.full || outbox.error) {
        return ring('red', word(outbox.full ? 'full' : 'unkept', { n }));
      }
      if (link.up || !needsAPerson(link.trouble)) {
        return ring('yellow', word(link.up ? 'waiting' : 'heldOffline', { n }));
      }
      const reason = reasonOf(link.trouble);
      return ring('red', reason === 'refused' ? word('heldRefused', { n }) : word(reason));
    },
    stored: (n) => dot('green', word('stored', { n })),
    error: (error) => ring('red', word(ERRORS[error?.code] || 'error')),
    idle: () => dot('green', word('idle')),
    running: (n, of) => dot('blue', `${n}/${of}`),
    paused: () => ring('yellow', word('paused')),
    unwired: () => ring('yellow', word('unwired')),
    timeout: () => dot('red', word('timeout')),
    cancelled: () => dot('grey', word('cancelled')),
    noResult: () => ring('yellow', word('noResult')),
    completed: () => dot('green', word('completed')),
    retry: (delayMs) => ring('yellow', delayMs === undefined ? word('retry') : `${word('retry', {})} ${brief(delayMs)}`),
    failed: () => dot('red', word('failed')),
    released: () => dot('grey', word('released')),
    progress: (percent) => dot('blue', `${Math.round(percent)} %`),
    settled: () => ring('grey', word('settled')),
    leaseLost: () => ring('red', word('leaseLost')),
    noJob: () => ring('red', word('noJob')),
    waiting: (n) => (n > 0 ? ring('yellow', word('waiting', { n })) : dot('green', word('waiting', { n }))),
    target: (code, n) => ring('red', word(TARGETS[code] || 'targetError', { n })),
    done: (action) => dot('green', action),
    listening: (n) => dot('green', word('events', { n })),
    counts: ({ waiting, active, failed }) => (failed > 0 ? ring : dot)(failed > 0 ? 'red' : 'green', `${waiting}/${active}/${failed}`),
  };
}

/** Whether a person has to put it right. */
function needsAPerson(trouble) {
  return Boolean(trouble) && reasonOf(trouble) !== 'disconnected';
}

/** Shows the newest status of a node, at most every 250 ms. */
class Lamp {
  constructor(node) {
    this.node = node;
    this.timer = null;
    this.next = null;
    this.shown = '';
    this.closed = false;
  }

  show(status) {
    this.next = status;
    if (this.timer === null && !this.closed) {
      this.flash();
    }
  }

  flash() {
    const text = JSON.stringify(this.next);
    if (this.next !== null && text !== this.shown) {
      this.shown = text;
      this.node.status(this.next);
    }
    this.next = null;
    this.timer = setTimeout(() => {
      this.timer = null;
      if (this.next !== null) {
        this.flash();
      }
    }, SPACING_MS);
    this.timer.unref();
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
  }
}

module.exports = { statuses, Lamp };
