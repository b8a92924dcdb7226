// Worker and QueueEvents of the TypeScript client: retries, results, progress, dead letters, concurrency, closing.
import { Queue, QueueEvents, UnrecoverableError, Worker } from 'bunqueue/client';
import { finish, options, seen, until } from './report.mjs';

const queue = new Queue('work', options);
const events = new QueueEvents('work', options);
seen.events = {};
for (const name of ['waiting', 'active', 'completed', 'failed', 'progress', 'retried', 'duplicated', 'removed']) {
  events.on(name, (event) => { (seen.events[name] ??= []).push(event.jobId); });
}
events.on('progress', (event) => { seen.progress = event.data; });
await events.waitUntilReady();

let running = 0;
let most = 0;
const tries = {};
const order = [];
const worker = new Worker('work', async (job) => {
  running += 1;
  most = Math.max(most, running);
  order.push(job.name);
  tries[job.name] = (tries[job.name] ?? 0) + 1;
  try {
    if (job.name === 'twice' && tries.twice === 1) throw new Error('not yet');
    if (job.name === 'never') throw new UnrecoverableError('hopeless');
    if (job.name === 'broken' || job.name === 'forgotten') throw new Error('broken again');
    if (job.name === 'slow') await new Promise((resolve) => setTimeout(resolve, 300));
    await job.updateProgress(40, 'nearly');
    await job.log('was here');
    return job.name === 'nothing' ? undefined : { from: job.name, big: 2 ** 40 };
  } finally {
    running -= 1;
  }
}, { ...options, concurrency: 3, autorun: false });
const errors = [];
worker.on('error', (error) => errors.push(String(error)));

const fast = { backoff: { type: 'fixed', delay: 10 } };
const jobs = {};
for (const [name, opts] of [
  ['plain', {}], ['twice', { ...fast, attempts: 3 }], ['never', { attempts: 5 }], ['broken', { ...fast, attempts: 2 }],
  ['nothing', {}], ['gone', { removeOnComplete: true }], ['forgotten', { attempts: 1, removeOnFail: true }],
  ['slow', {}], ['slow', {}], ['slow', {}], ['slow', {}], ['urgent', { priority: 100 }],
]) jobs[name] = await queue.add(name, { name }, opts);
const waiting = queue.waitJobUntilFinished(jobs.slow.id, events, 20_000);
worker.run();
seen.waited = await waiting;
await until(async () => {
  const counts = await queue.getJobCountsAsync();
  return counts.waiting + counts.active + counts.delayed + counts.prioritized === 0;
});
seen.order = order[0];
seen.most = most;
seen.tries = tries;
seen.counts = await queue.getJobCountsAsync();
const plain = await queue.getJob(jobs.plain.id);
seen.plain = { state: await plain.getState(), value: plain.returnvalue, progress: plain.progress };
seen.times = [typeof plain.processedOn, typeof plain.finishedOn, plain.finishedOn >= plain.processedOn];
seen.nothing = (await queue.getJob(jobs.nothing.id)).returnvalue ?? 'nothing';
seen.gone = [await queue.getJob(jobs.gone.id), await queue.getJob(jobs.forgotten.id)];
const broken = await queue.getJob(jobs.broken.id);
seen.broken = { reason: broken.failedReason, made: broken.attemptsMade, stack: broken.stacktrace.length > 0 };
const dead = await queue.getDlqAsync();
seen.dead = dead.map((entry) => [entry.job.name, entry.error, entry.attempts.length]).sort();
seen.dead_types = [typeof dead[0].enteredAt, typeof dead[0].attempts[0].failedAt];
seen.stats = (await queue.getDlqStatsAsync()).total;
const workers = await queue.getWorkers();
seen.workers = [workers.length, typeof workers[0]?.uptime];

// A dead letter that is tried again meets a handler that is well now.
await worker.close();
seen.closed = (await queue.getWorkers()).length;
const healthy = new Worker('work', async () => 'well', options);
healthy.on('error', (error) => errors.push(String(error)));
seen.retried = await queue.retryDlqAsync(jobs.broken.id);
await until(async () => (await queue.getJobState(jobs.broken.id)) === 'completed');
seen.again = await queue.retryCompletedAsync(jobs.plain.id);
await until(async () => (await queue.getJob(jobs.plain.id)).returnvalue === 'well');
seen.purged = await queue.purgeDlqAsync();

// Closing lets what runs end first.
let ended = false;
await healthy.close();
const patient = new Worker('work', async () => {
  await new Promise((resolve) => setTimeout(resolve, 300));
  ended = true;
  return 'late';
}, options);
const last = await queue.add('last', {});
await until(async () => (await queue.getJobState(last.id)) === 'active');
await patient.close();
seen.graceful = [ended, await queue.getJobState(last.id)];
seen.cleaned = (await queue.cleanAsync(0, 2, 'completed')).length;
seen.errors = errors;
seen.ids = Object.fromEntries(Object.entries(jobs).map(([name, job]) => [name, job.id]));
events.close();
await queue.close();
finish();
