/**
 * Who was left behind and does not know it: an archiver that is stopped in the middle of a put and wakes long after, a
 * master that lives on with a service of its own while the log goes on with another, a service with the wrong bucket or
 * Redis. None of them harms the log, and nobody is told by them that something is archived which is not (S8, S9).
 */
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { LogReader } from '../../src/log/reader.js';
import { decodeSegment, type Segment } from '../../src/log/segment.js';
import { slotKey } from '../../src/log/slot.js';
import { Api } from '../support/api.js';
import { readLog } from '../support/file-log.js';
import { blobsOf, judgeTold, s3Settings, tellFaults } from '../support/lossy-judge.js';
import { LossyLoad } from '../support/lossy-load.js';
import { promote, replicate, startNode } from '../support/redis-pair.js';
import { type S3Fault, TestS3Server } from '../support/s3-server.js';
import { Service } from '../support/service.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { Zombie } from '../support/zombie.js';

const PATIENT = { ATTEMPTS_MAX: '1000', BACKOFF_FIRST_MS: '20', BACKOFF_MS_MAX: '200', LOG_LEVEL: 'error' };
const WORK = { clients: 3, listeners: 3, pollers: 1, paceMs: 20 };
/** Says who archives for now. */
const ARCHIVING = '{clockwork:0}:archiving';
/** By the stopped archiver's clock much more than it takes for granted, and more than it holds the archiving. */
const STOPPED_MS = 4_500;

const BETWEEN = 'it was between two puts, and finds that another archives';

t.setTimeout(600_000);

async function startS3(t: Test, buckets?: readonly string[]): Promise<TestS3Server> {
  const s3 = await TestS3Server.start(buckets);
  t.teardown(() => s3.stop());
  return s3;
}

async function startService(t: Test, env: Record<string, string>): Promise<Service> {
  const service = await Service.start({ env: { ...PATIENT, ...env } });
  t.teardown(() => service.stop());
  tellFaults(t, service);
  return service;
}

function startLoad(t: Test, service: Service, type: string): LossyLoad {
  const load = new LossyLoad({ url: service.url, type, ...WORK });
  t.teardown(() => load.close());
  load.start();
  return load;
}

async function segmentsOf(s3: TestS3Server): Promise<Segment[]> {
  const blobs = blobsOf(s3);
  const key = slotKey(0, 1);
  const { header } = await decodeSegment(key, (await blobs.get(key))!);
  const segments: Segment[] = [];
  for await (const segment of new LogReader(blobs, header).segments(0)) segments.push(segment);
  return segments;
}

t.test('an archiver that is stopped and wakes long after is fenced, and acknowledges nothing', async (t) => {
  const node = await startNode(t);
  const s3 = await startS3(t);
  const service = await startService(t, { REDIS_URL: node.server.url, ...s3Settings(s3) });
  const load = startLoad(t, service, 'zombie');
  await load.untilArchived();
  const api = new Api(service.url, 1);
  t.teardown(() => api.close());
  const zombie = new Zombie(node.server.url, s3.endpoint, 'test');
  t.teardown(() => zombie.end());

  const isStandby = async () =>
    /clockwork_archive_state\{partition="0",state="standby"\} 1/.test(
      (await api.call('GET', '/metrics')).text,
    );
  /** Makes it the one that archives, and the service know that it is not. */
  const takeOver = async () => {
    for (;;) {
      if ((await node.redis.get(ARCHIVING)) !== 'zombie') await node.redis.del(ARCHIVING);
      else if (await isStandby()) break;
      await delay(50);
    }
    await zombie.heard('archived', zombie.reports.length);
  };
  /** Stops it in the middle of its next put, which then fares like that. */
  const stopAtPut = (fault: S3Fault) =>
    new Promise<void>((resolve) => {
      s3.misbehave = ({ operation, key }) => {
        if (operation !== 'put' || !key.startsWith('log/')) return null;
        zombie.stop();
        s3.misbehave = () => null;
        resolve();
        return fault;
      };
    });

  let landLate: () => void = () => undefined;
  const late = new Promise<void>((resolve) => {
    landLate = resolve;
  });
  const rounds: readonly (readonly [string, () => Promise<void>])[] = [
    ['its put arrives when another has the slot', () => stopAtPut({ kind: 'delay', until: late })],
    ['its put has arrived, and the answer is lost', () => stopAtPut({ kind: 'reset', when: 'after' })],
    ['its put is lost on the way', () => stopAtPut({ kind: 'reset', when: 'before' })],
    [BETWEEN, async () => zombie.stop()],
  ];
  for (const [name, stop] of rounds) {
    await takeOver();
    await stop();
    const stoppedAt = performance.now();
    await load.untilArchived();
    await load.more(50);
    landLate();
    await delay(STOPPED_MS - (performance.now() - stoppedAt));
    const from = zombie.reports.length;
    zombie.wake();
    if (name !== BETWEEN) await zombie.heard('overtaken', from);
    await load.more(50);
    const [first] = zombie.reports.slice(from).filter(({ kind }) => kind !== 'failed');
    t.not(first?.kind, 'archived', `${name}: it acknowledges nothing`);
    await load.untilArchived();
  }
  await zombie.end();
  const verdict = await load.drain();
  await service.pause();

  const segments = await segmentsOf(s3);
  judgeTold(t, load, verdict, await readLog(blobsOf(s3)));
  t.equal(verdict.storeLosses, 0, 'nothing at all is lost');
  const said = zombie.reports.flatMap(({ kind, slot }) => (kind === 'archived' ? [slot!] : []));
  const its = (slot: number) => segments[slot - 1]?.header.writer === 'zombie';
  t.same(
    said.filter((slot) => !its(slot)),
    [],
    `each of the ${said.length} segments that it acknowledged is in the log, and its own`,
  );
  t.comment(
    `${rounds.length} times stopped for ${STOPPED_MS} ms: ${JSON.stringify(verdict)}, ${segments.length} segments`,
  );
});

t.test(
  'an old master lives on with a service of its own: its clients hear of nothing archived that is not',
  async (t) => {
    const s3 = await startS3(t);
    const [old, next] = [await startNode(t), await startNode(t)];
    const ways = [await TcpProxy.start(old.server.port), await TcpProxy.start(old.server.port)] as const;
    for (const way of ways) t.teardown(() => way.stop());
    const envOf = (way: TcpProxy) => ({ REDIS_URL: `redis://127.0.0.1:${way.port}`, ...s3Settings(s3) });
    const left = await startService(t, envOf(ways[0]));
    const right = await startService(t, envOf(ways[1]));
    const onLeft = startLoad(t, left, 'left');
    const onRight = startLoad(t, right, 'right');
    const cut = await replicate(t, old, next);
    await Promise.all([onLeft.more(50), onRight.more(50)]);
    await Promise.all([onLeft.untilArchived(), onRight.untilArchived()]);

    await cut();
    await onLeft.more(20);
    await promote(next);
    ways[1].lead(next.server.port);
    await onRight.untilWritable();
    await onRight.untilArchived();
    const api = new Api(left.url, 2);
    t.teardown(() => api.close());
    const notesOf = async () =>
      (await api.call('GET', '/readyz')).json<{ log: { notes: string[] } }>().log.notes;
    while (!/another store has gone on/.test((await notesOf()).join())) await delay(50);
    // Its service knows. What was under way then has its answer after a few more.
    const refusals = onLeft.told.replies('post', 503) + 20;
    await onLeft.until(() => onLeft.told.replies('post', 503) >= refusals);
    const since = onLeft.told.posted.length;
    await onRight.more(100);
    await onRight.untilArchived();
    t.equal(onLeft.told.posted.length, since, 'it takes nothing that would not last');

    ways[0].lead(next.server.port);
    await onLeft.untilWritable();
    await onLeft.untilArchived();
    while ((await notesOf()).length > 0) await delay(50);
    const verdicts = [await onLeft.drain(), await onRight.drain()] as const;
    await left.pause();
    await right.pause();
    const records = await readLog(blobsOf(s3));
    judgeTold(t, onLeft, verdicts[0], records);
    judgeTold(t, onRight, verdicts[1], records);
    t.comment(`old master: ${JSON.stringify(verdicts[0])}; new master: ${JSON.stringify(verdicts[1])}`);
  },
);

t.test('a service whose store and log do not belong together does not start, and says so', async (t) => {
  const s3 = await startS3(t, ['one', 'other', 'empty']);
  const [redis, foreign] = [await startNode(t), await startNode(t)];
  const envOf = (node: typeof redis, bucket: string) => ({
    REDIS_URL: node.server.url,
    ...s3Settings(s3, bucket),
  });
  for (const [node, bucket] of [
    [redis, 'one'],
    [foreign, 'other'],
  ] as const) {
    const service = await startService(t, envOf(node, bucket));
    const api = new Api(service.url, 1);
    t.teardown(() => api.close());
    t.equal((await api.call('POST', '/v1/types/mine/events', { body: {} })).status, 202);
    await service.pause();
  }
  const keys = () => ['one', 'other', 'empty'].map((bucket) => [...s3.buckets.get(bucket)!.keys()]);
  const before = keys();
  const belongs =
    /has log \S+, and the store belongs to log \S+: give the log the bucket and prefix, or the store the Redis/;
  const refusals: readonly (readonly [typeof redis, string, RegExp])[] = [
    [redis, 'other', belongs],
    [foreign, 'one', belongs],
    [redis, 'empty', /the store has archived \d+ segments of log \S+, and s3:\/\/empty has none of them/],
  ];
  for (const [node, bucket, message] of refusals) {
    await t.rejects(Service.start({ env: { LOG_LEVEL: 'fatal', ...envOf(node, bucket) } }), { message });
  }
  t.same(keys(), before, 'nothing was written to any bucket');
});
