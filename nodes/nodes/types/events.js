'use strict';
/** hubqueue-events: what happens in queues, as it happens, or their figures every few seconds. Best effort: no replay. */

const { crossings, figuresOf, noFigures } = require('../../lib/figures');
const { eventMessage, kindOf } = require('../../lib/kinds');
const { Lamp } = require('../../lib/statuses');
const { patternOf } = require('../../lib/consumer');
const { configured } = require('./settings');

const SETTLE_MS = 500; // after an event, before the figures are read for empty and threshold

module.exports = function register(RED) {
  function HubqueueEvents(config) {
    RED.nodes.createNode(this, config);
    const node = this;
    const found = configured(RED, node, config);
    if (!found) {
      return;
    }
    const { hub, server, set, show } = found;
    const lamp = new Lamp(node);
    const { queue } = set;
    const single = !queue.includes('*');
    const pattern = patternOf(queue);
    const mine = (name) => (single ? name === queue : pattern.test(name) && (!name.startsWith('_') || queue.startsWith('_')));
    const mode = set.mode === 'stats' ? statsMode : eventsMode;

    /** The figures of the queues that are meant. */
    const figures = async () => {
      const { queues } = await hub.ask('Overview', { limit: 10_000 });
      const found = queues.map(figuresOf).filter((each) => mine(each.queue));
      return single && found.length === 0 ? [noFigures(queue)] : found;
    };
    const emit = (msg) => {
      if (server.flowing) {
        node.send(msg);
      }
    };
    const trouble = (error) => {
      lamp.show(show.error(error));
      node.error(error);
    };
    const refresh = () => {
      if (!hub.up) {
        lamp.show(show.link(hub.link));
      } else {
        running.refresh();
      }
    };
    const running = mode({ config, set, hub, server, show, lamp, queue: single ? queue : '*', mine, figures, emit, trouble });
    hub.on('state', refresh);
    server.register(node);
    refresh();

    node.on('close', (removed, done) => {
      running.stop();
      lamp.close();
      hub.off('state', refresh);
      server.deregister(node);
      done();
    });
  }

  RED.nodes.registerType('hubqueue-events', HubqueueEvents);
};

function eventsMode({ set, hub, server, show, lamp, queue, mine, figures, emit, trouble }) {
  const wanted = new Set(set.kinds);
  const all = wanted.size === 0;
  const { threshold } = set;
  const watches = all || wanted.has('empty') || wanted.has('threshold');
  const before = new Map();
  let seq = 0;
  let count = 0;
  let timer = null;
  let wasUp = hub.up;

  const tell = (event, kind) => {
    if (all || wanted.has(kind) || kind === 'gap') {
      count += 1;
      emit(eventMessage(event, { kind, seq, server: server.id }));
      lamp.show(show.listening(count));
    }
  };
  const receive = (event) => {
    const kind = kindOf(event);
    if (kind === undefined || (kind !== 'gap' && !mine(event.queue))) {
      return;
    }
    seq += 1 + (event.missed || 0);
    tell(event, kind);
    if (watches && timer === null) {
      timer = setTimeout(look, SETTLE_MS);
    }
  };
  const look = async () => {
    timer = null;
    try {
      for (const now of await figures()) {
        for (const { kind, ...facts } of crossings(before.get(now.queue), now, threshold)) {
          seq += 1;
          if (all || wanted.has(kind)) {
            count += 1;
            emit({ topic: kind, payload: { kind, at: Date.now(), seq, ...facts } });
          }
        }
        before.set(now.queue, now);
      }
    } catch (error) {
      if (error.code !== 'HQ_OFFLINE') {
        trouble(error);
      }
    }
  };
  const onState = () => {
    if (hub.up && wasUp === false && seq > 0) {
      seq += 1; // whatever happened meanwhile is not told again
      tell({ queue: queue === '*' ? '' : queue, timestamp: Date.now(), error: 'the link was down' }, 'gap');
    }
    wasUp = hub.up;
    if (hub.up && watches) {
      look();
    }
  };
  hub.on('state', onState);
  onState();
  const unsubscribe = hub.subscriptions.add(queue, receive, trouble);
  return {
    refresh: () => lamp.show(show.listening(count)),
    stop: () => {
      clearTimeout(timer);
      hub.off('state', onState);
      unsubscribe();
    },
  };
}

function statsMode({ config, set, hub, show, lamp, queue, figures, emit, trouble }) {
  let last = '';
  const look = async () => {
    if (!hub.up) {
      return;
    }
    try {
      const found = await figures();
      const now = JSON.stringify(found.map(({ oldestMs, enqueuedPerMinute, completedPerMinute, failedPerMinute, ...counts }) => counts)); // those change all the time
      if (config.onChange !== true || now !== last) {
        emit({ topic: queue, payload: queue === '*' ? found : found[0] });
      }
      last = now;
      lamp.show(show.counts(total(found)));
    } catch (error) {
      if (error.code !== 'HQ_OFFLINE') {
        trouble(error);
      }
    }
  };
  const timer = setInterval(look, set.interval);
  timer.unref();
  hub.on('state', look);
  hub.on('flowing', look);
  return {
    refresh: () => {},
    stop: () => {
      clearInterval(timer);
      hub.off('state', look);
      hub.off('flowing', look);
    },
  };
}

function total(found) {
  const sum = (name) => found.reduce((all, each) => all + each[name], 0);
  return { waiting: sum('waiting'), active: sum('active'), failed: sum('failed') };
}
