// Queue of the TypeScript client: adding in every way, looking, changing, pausing, cleaning. No worker runs here.
import { Queue } from 'bunqueue/client';
import { finish, options, seen } from './report.mjs';

const queue = new Queue('store', options);
const ids = (jobs) => jobs.map((job) => job.id);

const before = Date.now();
const job = await queue.add('first', { a: 1, deep: { list: [1, 'two', null] } }, { attempts: 5, backoff: 200, timeout: 9000 });
const found = await queue.getJob(job.id);
seen.found = { name: found.name, data: found.data, attempts: found.opts.attempts, made: found.attemptsMade };
seen.types = [typeof found.timestamp, typeof found.delay, typeof found.progress, typeof found.priority];
seen.recent = found.timestamp >= before - 5000 && found.timestamp <= Date.now() + 5000;
seen.missing = await queue.getJob('nobody');
seen.missing_state = await queue.getJobState('nobody');

// Order: priority first, then age; delayed ones apart.
await queue.addBulk([
  { name: 'low', data: {}, opts: { jobId: 'low', priority: 1 } },
  { name: 'high', data: {}, opts: { jobId: 'high', priority: 10 } },
  { name: 'late', data: {}, opts: { jobId: 'late', delay: 3_600_000 } },
]);
const late = await queue.getJob('late');
seen.delay = [late.delay, await late.getState(), typeof late.delay];
seen.counts = await queue.getJobCountsAsync();
seen.per_priority = await queue.getCountsPerPriorityAsync();
seen.total = await queue.countAsync();
seen.delayed = ids(await queue.getDelayedAsync());
seen.prioritized = ids(await queue.getPrioritized()).sort();

// Changing what waits.
await found.updateData({ a: 2 });
await queue.changeJobPriority(job.id, { priority: 7 });
const changed = await queue.getJob(job.id);
seen.changed = [changed.data.a, changed.priority];
await late.promote();
seen.promoted = await queue.getJobState('late');
await queue.changeJobDelay('late', 60_000);
seen.delayed_again = await queue.getJobState('late');
seen.promoted_count = await queue.promoteJobs();
await queue.addJobLog(job.id, 'one');
await queue.addJobLog(job.id, 'two');
seen.logs = await queue.getJobLogs(job.id);
await queue.clearJobLogs(job.id);
seen.cleared = (await queue.getJobLogs(job.id)).count;
await queue.removeAsync('low');
seen.removed = await queue.getJob('low');

// The key holds while its job lives; `replace` takes the waiting one's place.
const once = (data, more) => queue.add('once', data, { deduplication: { id: 'key', ttl: 60_000, ...more } });
const [one, two] = [await once({ n: 1 }), await once({ n: 2 })];
seen.same = one.id === two.id;
seen.owner = (await queue.getDeduplicationJobId('key')) === one.id;
const three = await once({ n: 3 }, { replace: true });
seen.replaced = [three.id !== one.id, await queue.getJob(one.id)];
seen.freed = await queue.removeDeduplicationKey('key');

await queue.pauseAsync();
seen.paused = [await queue.isPausedAsync(), (await queue.getJobCountsAsync()).paused > 0];
await queue.resumeAsync();
seen.resumed = await queue.isPausedAsync();

// Many at once, in pages that neither overlap nor leave gaps.
await queue.addBulk(Array.from({ length: 250 }, (_, i) => ({ name: 'many', data: { i } })));
const pages = [];
for (let start = 0; start < 300; start += 100) pages.push(...ids(await queue.getWaitingAsync(start, start + 99)));
seen.pages = [pages.length, new Set(pages).size];
seen.drained = (await queue.drainAsync()) >= 250;
seen.empty = await queue.countAsync();
await queue.obliterateAsync();
await queue.close();
finish();
