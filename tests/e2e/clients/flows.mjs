// FlowProducer of the TypeScript client: trees over several queues, chains, fan-in, and children that fail.
import { FlowProducer, Queue, Worker } from 'bunqueue/client';
import { finish, options, seen, until } from './report.mjs';

const flows = new FlowProducer(options);
const kitchen = new Queue('kitchen', options);
const order = [];
const merged = {};
const cook = async (job) => {
  order.push(job.name);
  if (job.data?.burn) throw new Error('burnt');
  if (job.name === 'dish' || job.name === 'merge') merged[job.name] = await job.getChildrenValues();
  return `${job.name} done`;
};

// A tree of three levels over two queues; nothing runs yet.
const tree = await flows.add({
  name: 'dish', queueName: 'kitchen', data: { table: 4 },
  children: [
    { name: 'rice', queueName: 'kitchen', data: {} },
    { name: 'sauce', queueName: 'cellar', data: {}, children: [{ name: 'wine', queueName: 'cellar', data: {} }] },
  ],
});
seen.children = tree.children.map((child) => child.job.name);
seen.state = await kitchen.getJobState(tree.job.id);
const read = await flows.getFlow({ id: tree.job.id, queueName: 'kitchen' });
seen.read = [read.job.name, read.job.data, read.children.map((child) => [child.job.name, child.children?.length ?? 0])];
const waits = await kitchen.getJobDependenciesCount(tree.job.id);
seen.waits = waits;
seen.waiting_children = (await kitchen.getJobCountsAsync())['waiting-children'];
const chain = await flows.addChain(
  ['one', 'two', 'three'].map((name) => ({ name, queueName: 'kitchen', data: {} })),
);
const fan = await flows.addBulkThen(
  ['left', 'right'].map((name) => ({ name, queueName: 'cellar', data: {} })),
  { name: 'merge', queueName: 'kitchen', data: {} },
);
const workers = ['kitchen', 'cellar'].map((name) => new Worker(name, cook, { ...options, concurrency: 4 }));
const ended = async (id) => ['completed', 'failed'].includes(await kitchen.getJobState(id));
for (const id of [tree.job.id, chain.jobIds[2], fan.finalId]) await until(() => ended(id));
seen.values = Object.values(merged.dish).sort();
seen.keys = Object.keys(merged.dish).map((key) => key.split(':')[0]).sort();
seen.fan = Object.values(merged.merge).sort();
const at = (name) => order.indexOf(name);
seen.ordered = [
  at('wine') < at('sauce') && at('sauce') < at('dish') && at('rice') < at('dish'),
  at('one') < at('two') && at('two') < at('three'),
  Math.max(at('left'), at('right')) < at('merge'),
];
seen.result = await flows.getParentResult(tree.job.id);

// What a child that fails for good does to its parent is the child's option.
const failing = (option) => flows.add({
  name: 'meal', queueName: 'kitchen', data: {},
  children: [
    { name: 'egg', queueName: 'cellar', data: { burn: true }, opts: { attempts: 1, ...option } },
    { name: 'bread', queueName: 'cellar', data: {} },
  ],
});
const failed = await failing({ failParentOnFailure: true });
const ignored = await failing({ ignoreDependencyOnFailure: true });
const removed = await failing({ removeDependencyOnFailure: true });
const continued = await failing({ continueParentOnFailure: true });
for (const node of [failed, ignored, removed, continued]) await until(() => ended(node.job.id));
seen.outcomes = await Promise.all([failed, ignored, removed, continued].map((one) => kitchen.getJobState(one.job.id)));
seen.reason = (await kitchen.getJob(failed.job.id)).failedReason.includes('burnt');

// All or nothing: a tree with a job that exists already adds none of its jobs.
const before = await new Queue('attic', options).countAsync();
seen.refused = await flows.add({
  name: 'top', queueName: 'attic', data: {}, opts: { jobId: tree.job.id },
  children: [{ name: 'below', queueName: 'attic', data: {} }],
}).then(() => 'accepted', (error) => error.message);
seen.added = (await new Queue('attic', options).countAsync()) - before;
for (const worker of workers) await worker.close();
await flows.close();
finish();
