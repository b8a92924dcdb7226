'use strict';
/** hubqueue-result: settles the job of a message, like http response answers a request. It finds the server in msg.job. */

const { HubqueueError } = require('../../lib/errors');
const { InOrder } = require('../../lib/order');
const { outcomeOf, delayOf } = require('../../lib/outcome');
const { statuses, Lamp } = require('../../lib/statuses');
const { toWire, wordsOf } = require('../../lib/values');
const { plain, read, valueOf } = require('./fields');
const { hubOf } = require('./hubs');
const { settings } = require('./settings');

module.exports = function register(RED) {
  function HubqueueResult(config) {
    RED.nodes.createNode(this, config);
    const node = this;
    const show = statuses(RED._);
    const lamp = new Lamp(node);
    const order = new InOrder();
    const set = settings(RED, node, config);
    if (!set) {
      return;
    }
    const rule = set.outcome;

    const outcome = async (msg) => {
      const error = await fieldOf(msg, 'error', (value) => value);
      const delayMs = await fieldOf(msg, 'delay', delayOf);
      const end = outcomeOf(msg, { rule, error, delayMs });
      if (end.kind === 'complete' && config.resultType !== 'none') {
        await addResult(msg, end);
      }
      return end;
    };

    /** Why it failed, or when it is tried again: with a warning as if it were blank when it cannot be had, for the job has ended. */
    const fieldOf = async (msg, name, meaning) => {
      try {
        return meaning(plain(await read(RED, node, msg, config[name], config[`${name}Type`] || 'str')));
      } catch (refused) {
        node.warn(RED._('hubqueue.errors.ignored', { id: msg.job.id, message: wordsOf(refused) }), msg);
        return undefined;
      }
    };

    /** The work is done: a result that cannot be had, or not be stored, does not have it done again. */
    const addResult = async (msg, end) => {
      const type = config.resultType || 'msg';
      const name = config.result || 'payload';
      try {
        const { found } = await valueOf(RED, node, msg, name, type);
        end.result = toWire(found, type === 'msg' ? `msg.${name}` : 'the result');
      } catch (error) {
        end.refused = error;
      }
    };

    const progress = async (msg, hub, job) => {
      const value = percentOf(await read(RED, node, msg, config.progress || 'payload', config.progressType || 'msg'));
      await hub.progress(job, value, typeof msg.topic === 'string' ? msg.topic.toWellFormed() : undefined);
      lamp.show(show.progress(value));
      return true;
    };

    const settle = async (msg, hub, job) => {
      const end = await order.run(() => outcome(msg));
      if (!hub.up) {
        lamp.show(show.link(hub.link)); // what it waits for
      }
      const { how, refused = end.refused } = await hub.settle(job, end);
      if (how !== 'settled') {
        node.debug(`job ${job.id} was already settled (${how})`);
        lamp.show(how === 'contradicted' ? show.settled() : endStatus(show, end));
        return false;
      }
      const { token, ...rest } = msg.job;
      msg.job = { ...rest, outcome: end.kind };
      if (refused) {
        const message = wordsOf(refused);
        lamp.show(show.noResult());
        node.warn(RED._('hubqueue.errors.noResult', { id: job.id, message }), msg);
        msg.job.resultError = { code: refused.code, message };
      } else {
        lamp.show(endStatus(show, end));
      }
      return true;
    };

    node.on('input', (msg, send, done) => {
      const work = async () => {
        const { hub, job } = jobOf(msg);
        return rule === 'progress' ? progress(msg, hub, job) : settle(msg, hub, job);
      };
      work().then(
        (passOn) => {
          if (passOn) {
            send(msg);
          }
          done();
        },
        (error) => {
          lamp.show(errorStatus(show, error));
          done(error);
        },
      );
    });

    node.on('close', (removed, done) => {
      lamp.close();
      done();
    });
  }

  RED.nodes.registerType('hubqueue-result', HubqueueResult);
};

/** The hub and the leased job of a message. Errors: HQ_NO_JOB, HQ_UNKNOWN_SERVER. */
function jobOf(msg) {
  const { id, token, server, outcome } = msg.job || {};
  if (!id || !token) {
    const hint = outcome ? `it was settled already: ${outcome}` : 'msg.job comes from a worker node and has to be kept';
    throw new HubqueueError('HQ_NO_JOB', 'the message has no job to settle', { hint });
  }
  const hub = hubOf(server);
  if (!hub) {
    throw new HubqueueError('HQ_UNKNOWN_SERVER', 'the server of this job is not configured any more');
  }
  return { hub, job: { id, token } };
}

/** Errors: HQ_INVALID. */
function percentOf(value) {
  const percent = typeof value === 'number' || (typeof value === 'string' && value.trim() !== '') ? Number(value) : NaN;
  if (!Number.isFinite(percent)) {
    throw new HubqueueError('HQ_INVALID', `progress must be a number: ${wordsOf(value)}`);
  }
  return percent;
}

function endStatus(show, { kind, delayMs }) {
  return { complete: show.completed, retry: () => show.retry(delayMs), reject: show.failed, release: show.released }[kind]();
}

function errorStatus(show, error) {
  return { HQ_LEASE_LOST: show.leaseLost, HQ_NO_JOB: show.noJob }[error.code]?.() || show.error(error);
}
