// A worker and a producer that go on when the hub is killed and started again: argv[2] is the port it always has.
import { Queue, Worker } from 'bunqueue/client';
import { finish, options, seen, until } from './report.mjs';

const queue = new Queue('steady', options);
const done = new Set();
const worker = new Worker('steady', async (job) => { done.add(job.data.i); return null; }, { ...options, concurrency: 2 });
worker.on('error', () => {}); // what it says while there is no hub is not the point
queue.on?.('error', () => {});
await queue.add('before', { i: 0 }, { durable: true });
await until(() => done.has(0));
console.log('READY');
for await (const line of console) {
  if (line.trim() === 'AGAIN') break;
}
for (let i = 1; i <= 5; i += 1) {
  for (;;) {
    const added = await queue.add('after', { i }, { jobId: `after-${i}` }).catch(() => null);
    if (added) break;
  }
}
await until(async () => done.size === 6 && (await queue.getJobCountsAsync()).completed === 6);
seen.done = [...done].sort();
seen.counts = await queue.getJobCountsAsync();
seen.workers = (await queue.getWorkers()).length;
await worker.close();
await queue.close();
finish();
