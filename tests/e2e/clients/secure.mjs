// TLS with a certificate of a private authority (argv[3]), and tokens: the right one, a wrong one and none.
import { Queue } from 'bunqueue/client';
import { connection, finish, seen } from './report.mjs';

const ask = async (more) => {
  const queue = new Queue('secret', { connection: { ...connection, ...more, commandTimeout: 3000 }, embedded: false });
  try {
    const job = await queue.add('hush', {});
    return (await queue.getJob(job.id)).name;
  } catch (error) {
    return `refused: ${error.message}`;
  } finally {
    await queue.disconnect();
  }
};
const tls = { caFile: process.argv[3] };
seen.right = await ask({ tls, token: 'right' });
seen.wrong = await ask({ tls, token: 'wrong' });
seen.none = await ask({ tls });
finish();
