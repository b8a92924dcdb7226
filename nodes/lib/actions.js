'use strict';
/**
 * What the control node can do: a table from action to commands of the hub. Only these; nothing is passed through.
 * Each takes ask(cmd, fields) and the arguments, and answers what becomes msg.payload. `destroys` needs a confirmation.
 */

const { toMoment, toMs } = require('./duration');
const { HubqueueError } = require('./errors');
const { figuresOf, statesOf } = require('./figures');
const { jobOf, statesAsked } = require('./wirenames');

const MOST_QUEUES = 10_000; // that the hub lists

const PURGES = {
  failed: ['PurgeDlq', () => ({})],
  waiting: ['Drain', () => ({})],
  completed: ['Clean', ({ olderThan, limit }) => ({ state: 'completed', grace: toMs(olderThan, 'olderThan') ?? 0, limit: limit ?? 1000 })],
  everything: ['Obliterate', () => ({})],
};

const ACTIONS = {
  stats: {
    run: async (ask, { queue }) => {
      if (queue) {
        const { counts, expired } = await ask('GetJobCounts', { queue });
        return { queue, ...statesOf({ ...counts, expired }) };
      }
      const { totals, rates, hub } = await ask('Overview', { limit: 1 });
      return { ...statesOf(totals), perSecond: rates, uptimeMs: hub.uptimeMs };
    },
  },
  queues: { run: async (ask) => (await ask('Overview', { limit: MOST_QUEUES })).queues.map(figuresOf) },
  list: {
    needs: ['queue'],
    run: async (ask, { queue, state, tags, limit, cursor, newestFirst = false }) => {
      const most = limit ?? 100;
      const asked = { queue, state: statesAsked(state), tags: tagsAsked(tags), asc: !newestFirst };
      const found = [];
      let next = cursor ?? undefined;
      do {
        const page = await ask('GetJobs', { ...asked, limit: most - found.length, cursor: next });
        found.push(...page.jobs);
        next = page.cursor;
      } while (asked.tags && next !== null && found.length < most); // with tags a page may be short
      return { jobs: found.map(jobOf), cursor: next };
    },
  },
  get: { needs: ['id'], run: async (ask, { id }) => jobOf((await ask('GetJob', { id })).job) },
  dead: {
    needs: ['queue'],
    run: async (ask, { queue, limit = 100, ...which }) => {
      const { entries } = await ask('Dlq', { queue, count: limit, filter: deadAsked(which) });
      return entries.map(({ job, attempts: errors, ...entry }) => ({ ...entry, errors, job: { ...jobOf(job), state: 'failed' } }));
    },
  },
  pause: { needs: ['queue'], run: (ask, { queue }) => ask('Pause', { queue }).then(() => ({ queue, paused: true })) },
  resume: { needs: ['queue'], run: (ask, { queue }) => ask('Resume', { queue }).then(() => ({ queue, paused: false })) },
  cancel: { needs: ['id'], run: (ask, { id, active = true }) => ask('Cancel', { id, active }).then(() => ({ id, cancelled: true })) },
  retry: { needs: ['id'], run: (ask, { id }) => ask('MoveToWait', { id }).then(() => ({ id, state: 'waiting' })) },
  retryDead: {
    needs: ['queue'],
    run: async (ask, { queue, id, limit, ...which }) => {
      const { count } = await ask('RetryDlq', { queue, jobId: id, count: limit, filter: deadAsked(which) });
      return { queue, count };
    },
  },
  promote: {
    run: async (ask, { id, queue, limit }) => {
      if (id) {
        await ask('Promote', { id });
        return { id, count: 1 };
      }
      required('promote', { queue }, ['queue']);
      return { queue, count: (await ask('PromoteJobs', { queue, count: limit })).count };
    },
  },
  snooze: {
    needs: ['id'],
    run: async (ask, { id, until, delay }) => {
      await ask('Snooze', { id, until: toMoment(until, 'until'), delay: toMs(delay, 'delay') });
      return { id, snoozed: true };
    },
  },
  purge: {
    needs: ['queue'],
    destroys: true,
    run: async (ask, args) => {
      const what = args.what ?? 'failed';
      if (!Object.hasOwn(PURGES, what)) {
        throw invalid(`what to purge is one of ${Object.keys(PURGES).join(', ')}, not ${what}`);
      }
      const [command, fields] = PURGES[what];
      const { count } = await ask(command, { queue: args.queue, ...fields(args) });
      return { queue: args.queue, count };
    },
  },
  setConcurrency: {
    needs: ['queue'],
    run: async (ask, { queue, limit = null }) => {
      await (limit === null ? ask('ClearConcurrency', { queue }) : ask('SetConcurrency', { queue, limit }));
      return { queue, concurrency: limit };
    },
  },
  setRate: {
    needs: ['queue'],
    run: async (ask, { queue, limit = null, per = 1000 }) => {
      const duration = toMs(per, 'per');
      await (limit === null ? ask('RateLimitClear', { queue }) : ask('RateLimit', { queue, limit, duration }));
      return { queue, rate: limit, per: duration };
    },
  },
};

/** Do it. Errors: HQ_INVALID for an unknown action or missing argument, HQ_CONFIRM, and what the hub answers. */
async function act(ask, action, args, { confirmed = false } = {}) {
  const entry = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
  if (entry === undefined) {
    throw invalid(`there is no action ${action}`, Object.keys(ACTIONS).join(', '));
  }
  required(action, args, entry.needs || []);
  if (entry.destroys && !confirmed && args.confirm !== true) {
    const hint = 'set confirm: true in the message, or allow it in the node';
    throw new HubqueueError('HQ_CONFIRM', `${action} deletes jobs and needs a confirmation`, { hint });
  }
  return entry.run(ask, args);
}

/** The tags that are asked for: one, or a list; undefined for none. */
function tagsAsked(tags) {
  const asked = [tags ?? []].flat();
  return asked.length > 0 ? asked : undefined;
}

/** Which dead letters; undefined for all. */
function deadAsked({ reason, tags }) {
  const filter = { reason: reason || undefined, tags: tagsAsked(tags) };
  return filter.reason || filter.tags ? filter : undefined;
}

function required(action, args, names) {
  for (const name of names) {
    if (typeof args[name] !== 'string' || args[name] === '') {
      throw invalid(`${action} needs ${name}`);
    }
  }
}

function invalid(message, hint) {
  return new HubqueueError('HQ_INVALID', message, { hint });
}

module.exports = { act, ACTIONS };
