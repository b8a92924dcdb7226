'use strict';
/**
 * hubqueue-worker: sends jobs into the flow, at most `concurrency` at a time, and leaves their end to a result node.
 * Leases belong to the server node under this node's id: after a deploy of modified nodes they are found again.
 */

const { jobMessage } = require('../../lib/jobs');
const { Lamp } = require('../../lib/statuses');
const { quietTime } = require('./quiet');
const { configured } = require('./settings');

const TIMEOUT_SHOWN_MS = 5000;
const AGAIN_MS = 1000; // until a job that could not be sent on may be taken again

module.exports = function register(RED) {
  function HubqueueWorker(config) {
    RED.nodes.createNode(this, config);
    const node = this;
    const found = configured(RED, node, config);
    if (!found) {
      return;
    }
    const { hub, server, set, show } = found;
    const lamp = new Lamp(node);
    const { concurrency, perGroup, settle, timeout: timeoutMs } = set;
    const wired = node.wires.some((port) => port.length > 0);
    let paused = config.paused === true;
    let trouble = null;
    let notice = null; // a status that stays for a moment

    const refresh = () => {
      if (!hub.up) {
        lamp.show(show.link(hub.link));
      } else if (notice) {
        lamp.show(notice);
      } else if (trouble) {
        lamp.show(show.error(trouble));
      } else if (!wired) {
        lamp.show(show.unwired());
      } else if (consumer.running > 0) {
        lamp.show(show.running(consumer.running, concurrency));
      } else {
        lamp.show(paused ? show.paused() : show.idle());
      }
    };

    const noticeFor = (status) => {
      notice = status;
      refresh();
      setTimeout(() => {
        notice = null;
        refresh();
      }, TIMEOUT_SHOWN_MS).unref();
    };

    const expire = (lease) => {
      hub.expire(lease);
      node.warn(RED._('hubqueue.errors.timeout', { id: lease.id, seconds: timeoutMs / 1000 }));
      noticeFor(show.timeout());
    };

    const deliver = (job, token) => {
      const lease = hub.leases.add({ id: job.id, token, queue: job.queue, worker: node.id, timeoutMs, leaseMs: job.stallTimeout, expire });
      refresh();
      emit(job, lease).catch((error) => {
        node.warn(error.message);
        const away = error.code === 'HQ_OFFLINE' || error.code === 'HQ_SILENT';
        const end = away ? { kind: 'release', delayMs: AGAIN_MS } : { kind: 'retry', error: `Node-RED: ${error.message}` };
        hub.settle(lease, end).catch(() => {}); // no flow has it that could
      });
    };
    const emit = async (job, lease) => {
      const msg = jobMessage(job, lease.token, { server: server.id, timeoutMs });
      if (job.childrenIds?.length) {
        msg.children = (await hub.ask('GetChildrenValues', { id: job.id })).data.values;
      }
      if (settle === 'receipt') {
        await hub.settle(lease, { kind: 'complete' });
        delete msg.job.token;
      } else if (settle === 'quiet') {
        quietTime(RED).watch(msg, hub, lease);
      }
      node.send(msg);
    };

    const consumer = hub.consume({
      worker: node.id,
      name: config.name || server.clientName || RED._('hubqueue.worker.unnamed'),
      queues: set.queue,
      concurrency,
      perGroup,
      deliver,
      trouble: (error) => {
        if (error && error.message !== trouble?.message) {
          node.error(error);
        }
        trouble = error;
        refresh();
      },
    });

    const open = () => {
      consumer.set(server.flowing && wired && !paused);
      refresh();
    };
    /** Take jobs, or take no more. */
    node.pause = (wanted) => {
      paused = wanted;
      open();
    };
    node.paused = () => paused;

    const freed = (worker) => worker === node.id && refresh();
    const lost = (lease, renewal) => {
      if (lease.worker === node.id) {
        node.warn(RED._(`hubqueue.errors.${renewal}`, { id: lease.id }));
        noticeFor(renewal === 'cancelled' ? show.cancelled() : show.leaseLost());
      }
    };
    hub.on('state', refresh);
    hub.on('freed', freed);
    hub.on('lost', lost);
    hub.on('flowing', open);
    server.register(node);
    open();

    node.on('close', async (removed, done) => {
      hub.off('state', refresh);
      hub.off('freed', freed);
      hub.off('lost', lost);
      hub.off('flowing', open);
      lamp.close();
      await consumer.close();
      if (server.flowEnds(node)) {
        await hub.release(node.id); // its messages are gone: others may have the jobs at once
      }
      server.deregister(node);
      done();
    });
  }

  RED.nodes.registerType('hubqueue-worker', HubqueueWorker);
};
