// Schedulers of the TypeScript client: by interval and by pattern, changed, limited, listed and removed.
import { Queue, Worker } from 'bunqueue/client';
import { finish, options, seen, until } from './report.mjs';

const queue = new Queue('clockwork', options);
const ran = [];
const worker = new Worker('clockwork', async (job) => { ran.push([job.name, job.data]); return null; }, options);

await queue.upsertJobScheduler('ticks', { every: 200, immediately: true, limit: 3 }, { name: 'tick', data: { n: 1 } });
await until(() => ran.length === 3);
seen.ran = ran;
await until(async () => (await queue.getJobScheduler('ticks')) === null);

const nightly = await queue.upsertJobScheduler('nightly', { pattern: '30 3 * * *', timezone: 'Europe/Rome' }, {
  name: 'report', data: { kind: 'night' }, opts: { attempts: 7 },
});
seen.nightly = [nightly.id, nightly.pattern, typeof nightly.next, nightly.next > Date.now(), nightly.next % 60_000];
await queue.upsertJobScheduler('nightly', { pattern: '0 4 * * *' }, { name: 'report', data: {} });
seen.changed = (await queue.getJobScheduler('nightly')).pattern;
seen.count = await queue.getJobSchedulersCount();
seen.listed = (await queue.getJobSchedulers()).map((one) => [one.id, one.pattern]);
seen.refused = await queue.upsertJobScheduler('wrong', { pattern: 'not a pattern' }).catch((error) => error.message);
seen.removed = await queue.removeJobScheduler('nightly');
seen.left = await queue.getJobSchedulersCount();

// A job that repeats itself: limit N means N runs.
const repeated = await queue.add('again', { n: 2 }, { repeat: { every: 50, limit: 3 } });
seen.repeated = typeof repeated.id;
await until(() => ran.filter(([name]) => name === 'again').length === 3);
await worker.close();
await queue.close();
finish();
