// Limits and groups of the TypeScript client: rate, concurrency, fair turns, pausing one group.
import { Queue, Worker } from 'bunqueue/client';
import { finish, options, seen, until } from './report.mjs';

const queue = new Queue('narrow', options);
let running = 0;
let most = 0;
const started = [];
const order = [];
const work = async (job) => {
  started.push(Date.now());
  order.push(job.name);
  running += 1;
  most = Math.max(most, running);
  await new Promise((resolve) => setTimeout(resolve, 20));
  running -= 1;
  return null;
};
const drained = () => until(async () => (await queue.countAsync()) === 0 && (await queue.getJobCountsAsync()).active === 0);
const many = (n) => queue.addBulk(Array.from({ length: n }, (_, i) => ({ name: `n${i}`, data: {} })));

await queue.setGlobalConcurrencyAsync(2);
seen.concurrency = await queue.getGlobalConcurrency();
await many(8);
let worker = new Worker('narrow', work, { ...options, concurrency: 8 });
await drained();
seen.most = most;
await queue.removeGlobalConcurrencyAsync();
seen.unlimited = await queue.getGlobalConcurrency();

// Three at once, then one every 200 ms: the last of five starts 400 ms after the first at the earliest.
await queue.setGlobalRateLimitAsync(3, 600);
seen.rate = await queue.getGlobalRateLimit();
started.length = 0;
await many(5);
await drained();
seen.paced = started[4] - started[0] >= 300;
await queue.removeGlobalRateLimitAsync();
seen.unpaced = await queue.getGlobalRateLimit();
await worker.close();

// Groups take turns, whatever the order in which their jobs came; jobs without a group go first.
order.length = 0;
const grouped = (name, id) => queue.add(name, {}, { group: { id } });
for (const [name, id] of [['a1', 'a'], ['a2', 'a'], ['a3', 'a'], ['b1', 'b'], ['c1', 'c']]) await grouped(name, id);
await queue.add('plain', {});
seen.group_count = [await queue.getGroupJobsCount('a'), await queue.getGroupsJobsCount()];
worker = new Worker('narrow', work, { ...options, concurrency: 1, batchSize: 1 });
await drained();
seen.turns = [...order];
await worker.close();

seen.pause = await queue.pauseGroup('a');
seen.paused = [await queue.isGroupPaused('a'), await queue.isGroupPaused('b')];
order.length = 0;
await grouped('held', 'a');
await grouped('free', 'b');
worker = new Worker('narrow', work, { ...options, concurrency: 1, group: { concurrency: 1 } });
await until(() => order.length > 0);
seen.held = [...order];
seen.resume = await queue.resumeGroup('a');
await drained();
seen.released = [...order];
await queue.setGroupConcurrency('a', 2);
await queue.setGroupRateLimit('a', 5, 1000);
seen.settings = [await queue.getGroupConcurrency('a'), await queue.getGroupRateLimit('a')];
seen.gone = [await queue.removeGroupConcurrency('a'), await queue.removeGroupRateLimit('a')];
seen.full = await queue.add('x', {}, { group: { id: 'small', maxSize: 1 } })
  .then(() => queue.add('y', {}, { group: { id: 'small', maxSize: 1 } }))
  .then(() => 'accepted', (error) => error.message);
await worker.close();
await queue.close();
finish();
