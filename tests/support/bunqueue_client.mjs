// The official TypeScript client of bunqueue against the hub at argv[2]: what an ordinary program does with it.
// Prints one JSON line of what it saw; the test judges it. Imported by name from the folder it is run in.
import { Queue, QueueEvents, Worker } from 'bunqueue/client';

const connection = { host: '127.0.0.1', port: Number(process.argv[2]) };
const options = { connection, embedded: false };
const JOBS = 50;

const queue = new Queue('mails', options);
const seen = { events: {}, results: {} };

const job = await queue.add(
  'welcome',
  { to: 'someone', n: 1 },
  { priority: 2, attempts: 3, backoff: { type: 'fixed', delay: 10 }, jobId: 'my-id' },
);
seen.id = job.id;
seen.again = (await queue.add('welcome', {}, { jobId: 'my-id' })).id;
const bulk = Array.from({ length: JOBS }, (_, i) => ({ name: `n${i}`, data: { i }, opts: i % 2 ? { delay: 10 } : {} }));
seen.bulk = (await queue.addBulk(bulk)).length;
const found = await queue.getJob('my-id');
seen.found = { name: found.name, data: found.data };
const key = { deduplication: { id: 'k', ttl: 5000 } };
const first = await queue.add('once', { i: 100 }, key);
const second = await queue.add('once', { i: 101 }, key);
seen.deduplicated = first.id === second.id;
await queue.pauseAsync();
seen.paused = await queue.isPausedAsync();
await queue.resumeAsync();

const events = new QueueEvents('mails', options);
for (const name of ['active', 'completed', 'failed', 'progress']) {
  events.on(name, () => { seen.events[name] = (seen.events[name] ?? 0) + 1; });
}
let finished;
const all = new Promise((resolve) => { finished = resolve; });
let completed = 0;
let failures = 0;
const worker = new Worker('mails', async (running) => {
  if (running.data.i === 7 && running.attemptsMade === 0) throw new Error('once');
  await running.updateProgress(50, 'half');
  await running.log('hello');
  return running.data.i === 3 ? undefined : { ok: running.data.i ?? null };
}, { ...options, concurrency: 5, });
worker.on('completed', (done, result) => {
  seen.results[done.id] = result ?? 'nothing';
  completed += 1;
  if (completed === JOBS + 2) finished();
});
worker.on('failed', () => { failures += 1; });
worker.on('error', (error) => { seen.error = String(error); });
await all;
seen.completed = completed;
seen.failures = failures;
seen.logs = (await queue.getJobLogs('my-id')).count;
seen.workers = (await queue.getWorkers()).length;
seen.cleaned = (await queue.cleanAsync(0, 10, 'completed')).length;
await worker.close();
seen.counts = await queue.getJobCountsAsync();
await queue.obliterateAsync();
await queue.close();
console.log(JSON.stringify(seen));
process.exit(0);
