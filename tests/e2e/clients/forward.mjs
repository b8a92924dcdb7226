// forward(): the client's own store-and-forward, from one hub (argv[2]) to another (argv[3]).
import { Queue } from 'bunqueue/client';
import { finish, options, seen, until } from './report.mjs';

const central = { connection: { host: '127.0.0.1', port: Number(process.argv[3]) }, embedded: false };
const source = new Queue('readings', options);
const remote = new Queue('readings', central);

const jobs = await source.addBulk(
  Array.from({ length: 20 }, (_, i) => ({ name: 'reading', data: { i, name: 'a name in the data' } })),
);
const forwarder = source.forward({ to: central.connection, durable: true, concurrency: 2 });
const errors = [];
forwarder.on('error', (error) => errors.push(String(error)));
const told = [];
forwarder.on('forwarded', (info) => told.push(info.remoteId));
await until(async () => (await source.getJobCountsAsync()).completed === jobs.length);
await forwarder.close();

const arrived = await remote.getWaitingAsync(0, 100);
seen.arrived = arrived.map((job) => job.data.i).sort((a, b) => a - b);
seen.names = [...new Set(arrived.map((job) => `${job.name}: ${job.data.name}`))];
seen.ids = jobs.every((job) => told.includes(`fwd:readings:${job.id}`));
const again = await remote.add('reading', {}, { jobId: told[0] });
seen.once = [again.id === told[0], (await remote.getJobCountsAsync()).waiting];
seen.errors = errors;
await source.close();
await remote.close();
finish();
