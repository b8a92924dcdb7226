/*
 * The rule of every field of every dialog that cannot hold just anything; what is not named here is a free text or a box
 * to tick. Fields that are options of a job have the rules of the table of job options. The editor loads this as a script, the runtime as a module. `standard` is what a blank field means.
 */
(function (place) {
  'use strict';

  const fieldsBy = (rules, { options }) => {
    const { Refusal, duration, whole, number, choice, choices } = rules;

    const TIMER = '24d'; // the longest that a timer of JavaScript can wait: one that is set to more fires at once
    const KINDS = [
      ...['enqueued', 'waiting', 'delayed', 'active', 'progress', 'completed', 'failed', 'stalled', 'removed', 'expired'],
      ...['duplicated', 'evicted', 'paused', 'resumed', 'forwarded', 'rejected', 'link', 'empty', 'threshold'],
    ];
    const ACTIONS = [
      ...['stats', 'queues', 'list', 'get', 'dead', 'pause', 'resume', 'cancel', 'retry', 'retryDead', 'promote', 'snooze', 'purge'],
      ...['setConcurrency', 'setRate', 'pauseWorker', 'resumeWorker'],
    ];

    /** A field for an option of a job; of a map for one of its parts, else for that which a bare value stands for. */
    function option(name, part, more) {
      const found = options.find(({ json }) => json === name);
      const label = part ? `${name}${part[0].toUpperCase()}${part.slice(1)}` : name;
      const leaf = found.parts ? found.parts.find((each) => each.name === (part || found.short)) : found;
      return { label, rule: rules.ruleOf(leaf), ...more };
    }

    const shortestWait = { label: 'shortestWait', rule: duration('100ms', '1h'), standard: 500 };

    /** By type and field. label: its text in locales/; type: the field that holds its type, types: which of
     * them; only: when it matters; least: the field below whose value it must not be, and how it is refused. */
    const FIELDS = {
      'hubqueue-server': {
        host: { label: 'host', rule: rules.host },
        port: { label: 'port', rule: whole(1, rules.MAX_PORT), standard: 6789 },
        connectTimeout: { label: 'connectTimeout', rule: duration('1ms', '1d'), standard: 10_000 },
        shortestWait,
        longestWait: { label: 'longestWait', rule: duration('100ms', '1h'), standard: 10_000, least: ['shortestWait', shortestWait, 'belowShortest'] },
        bufferMessages: { label: 'bufferMessages', rule: whole(1), standard: 10_000 },
        bufferMegabytes: { label: 'bufferMegabytes', rule: whole(1), standard: 32 },
      },
      'hubqueue-enqueue': {
        queue: { label: 'queue', type: 'queueType', rule: rules.queue },
        store: { label: 'store', rule: choice('payload', 'message', 'jsonata'), standard: 'payload' },
        expression: { label: 'expression', fixed: 'jsonata', needed: true, only: ['store', 'jsonata'] },
        group: option('group', '', { type: 'groupType' }),
        priority: option('priority'),
        delay: option('delay'),
        attempts: option('attempts'),
        backoff: option('backoff'),
        keepTrying: option('keepTrying'),
        ttl: option('ttl'),
        dedup: option('dedup', '', { type: 'dedupType' }),
        dedupTtl: option('dedup', 'ttl'),
      },
      'hubqueue-worker': {
        queue: { label: 'queues', type: 'queueType', types: ['str', 'env'], rule: rules.patterns, needed: true },
        concurrency: { label: 'concurrency', rule: whole(1), standard: 1 },
        perGroup: { label: 'perGroup', rule: whole(0), standard: 0 },
        timeout: { label: 'timeout', rule: duration('0s', TIMER), standard: 300_000 },
        settle: { label: 'settle', rule: choice('result', 'receipt', 'quiet'), standard: 'result' },
      },
      'hubqueue-result': {
        outcome: { label: 'outcome', rule: choice('message', 'complete', 'retry', 'reject', 'release', 'progress'), standard: 'complete' },
        result: { label: 'result', type: 'resultType' },
        error: { label: 'error', type: 'errorType' },
        delay: option('delay', '', { label: 'retryDelay', type: 'delayType' }),
        progress: { label: 'progress', type: 'progressType' },
      },
      'hubqueue-forward': {
        to: { label: 'to', rule: rules.address, needed: true },
        tls: { label: 'tls', rule: rules.encrypted },
        target: { label: 'target', rule: rules.queue },
        queue: { label: 'buffer', rule: rules.queue },
        store: { label: 'store', rule: choice('payload', 'message'), standard: 'payload' },
        dedup: option('dedup', '', { label: 'newestOf', type: 'dedupType' }),
        rate: { label: 'rate', rule: number(0.001, 1_000_000) },
        ttl: option('ttl'),
        limit: { label: 'limit', rule: whole(1) },
        whenFull: { label: 'whenFull', rule: choice('refuse', 'drop'), standard: 'refuse' },
      },
      'hubqueue-control': {
        action: { label: 'action', rule: choice(...ACTIONS) },
        queue: { label: 'queue', type: 'queueType', rule: rules.queue },
      },
      'hubqueue-events': {
        queue: { label: 'queueFilter', type: 'queueType', types: ['str', 'env'], rule: rules.pattern, standard: '*' },
        mode: { label: 'mode', rule: choice('events', 'stats'), standard: 'events' },
        kinds: { label: 'kinds', rule: choices(...KINDS), standard: [] },
        threshold: { label: 'threshold', rule: whole(0), standard: 0 },
        interval: { label: 'interval', rule: duration('1s', TIMER), standard: 10_000 },
      },
    };

    const ENVIRONMENT = /^\$(?:\{(\S+)\}|\((\S+)\))$/; // as Node-RED replaces it when the node is made

    /** The name of the environment variable that is all of a value; undefined for any other value. */
    function variableOf(value) {
      const [, braced, round] = (typeof value === 'string' && ENVIRONMENT.exec(value)) || [];
      return braced || round;
    }

    const isBlank = (value) => value === undefined || value === null || (typeof value === 'string' && value.trim() === '');

    /**
     * What the value of a field means; a typed one that is no text is given as it is. others(name): the value of another
     * field. parse: see rules.typed. variables: whether an environment variable may still stand here, as in the dialog.
     * Errors: Refusal.
     */
    function meaning(field, value, context) {
      const found = alone(field, value, context);
      const [name, other, refusal] = field.least || [];
      if (name && found !== undefined && found < bound(other, context.others(name), context)) {
        throw new Refusal(refusal);
      }
      return found;
    }

    /** What another field says; undefined while that is not known, or refused itself. */
    function bound(field, value, context) {
      try {
        return alone(field, value, context);
      } catch {
        return undefined;
      }
    }

    function alone(field, value, { others, parse, variables }) {
      const type = field.fixed || (field.type && others(field.type)) || 'str';
      const [switched, wanted] = field.only || [];
      if (type === 'none' || (switched && others(switched) !== wanted)) {
        return undefined;
      }
      if (field.types && !field.types.includes(type)) {
        throw new Refusal('choice', { known: field.types.join(', ') });
      }
      if (isBlank(value)) {
        if (field.needed) {
          throw new Refusal('needed');
        }
        return field.standard;
      }
      if (variableOf(value) !== undefined && type !== 'jsonata') {
        if (!variables) {
          throw new Refusal('variable', { name: variableOf(value) });
        }
        return undefined;
      }
      if (type !== 'str') {
        return rules.typed(type, value, parse);
      }
      return field.rule ? field.rule(value, others) : value;
    }

    return { FIELDS, isBlank, meaning, variableOf };
  };

  place(fieldsBy);
})((fieldsBy) => {
  if (typeof module === 'object') {
    module.exports = fieldsBy(require('./rules'), require('./options'));
  } else {
    window.hubqueueFields = () => fieldsBy(window.hubqueueRules, window.hubqueueOptions); // the scripts of a page come in any order
  }
});
