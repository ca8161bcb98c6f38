/**
 * Redis fails over to a replica that lacks the end of what its master did, over and over, under one service that reaches
 * whoever is master by the same address; and now and then the address leads back to the old master, which was restarted,
 * or has lived on with records that the log does not have. What is not archived may be lost with the tail; nothing that
 * was shown as archived is (S1, S2, S3, S8, S9, L3).
 */
import t from 'tap';
import { digestOfStore } from '../../src/log/digest.js';
import { RedisStore } from '../../src/store/redis/redis-store.js';
import { LIMITS, POLICY } from '../contract/store/scene.js';
import { readLog } from '../support/file-log.js';
import { blobsOf, digestOfLog, judgeTold, s3Settings, tellFaults } from '../support/lossy-judge.js';
import { type LeaseBody, LossyLoad } from '../support/lossy-load.js';
import { type Node, promote, recordsOf, replicate, startNode } from '../support/redis-pair.js';
import { TestS3Server } from '../support/s3-server.js';
import { Service } from '../support/service.js';
import { TcpProxy } from '../support/tcp-proxy.js';

const RUNS = 21;
/** Every third run leads back to the old master; of these every second finds it as it was left. */
const BACK_EVERY = 3;
const TAIL_POSTS = 15;
const POSTS_BETWEEN = 30;
/** Often enough that the log is now and then ahead of the replica, seldom enough that there is a tail. */
const ENV = {
  ATTEMPTS_MAX: '1000',
  BACKOFF_FIRST_MS: '20',
  BACKOFF_MS_MAX: '200',
  ARCHIVE_INTERVAL_MS: '500',
  LOG_LEVEL: 'error',
};
/** Longer than a run: who has one keeps it, unless it is lost with the tail. */
const HELD_LEASE_MS = 120_000;
const WRITABLE_MS_MAX = 15_000;

t.setTimeout(600_000);

t.test('failovers that lose a tail, and ways back to the old master', async (t) => {
  const s3 = await TestS3Server.start();
  t.teardown(() => s3.stop());
  let master = await startNode(t);
  const address = await TcpProxy.start(master.server.port);
  t.teardown(() => address.stop());
  const redisUrl = `redis://127.0.0.1:${address.port}`;
  const service = await Service.start({ env: { ...ENV, REDIS_URL: redisUrl, ...s3Settings(s3) } });
  t.teardown(() => service.stop());
  tellFaults(t, service);
  const load = new LossyLoad({
    url: service.url,
    type: 'failover',
    clients: 4,
    listeners: 4,
    pollers: 2,
    paceMs: 20,
  });
  t.teardown(() => load.close());
  const figures = { tails: 0, records: 0, ahead: 0, back: 0, backToLiving: 0, stale: 0, writableMsMax: 0 };

  const lead = async (node: Node) => {
    address.lead(node.server.port);
    const writableMs = await load.untilWritable();
    figures.writableMsMax = Math.max(figures.writableMsMax, writableMs);
    t.ok(writableMs < WRITABLE_MS_MAX, `writable again after ${writableMs.toFixed(0)} ms`);
  };

  load.start();
  for (let run = 0; run < RUNS; run += 1) {
    const old = master;
    const replica = await startNode(t);
    const cut = await replicate(t, old, replica);
    const held = `held-${run}`;
    const heldId = await load.post({ run }, held);
    await load.more(POSTS_BETWEEN);
    await load.until(() => load.told.archived.has(heldId));

    await cut();
    await load.more(TAIL_POSTS, 0);
    const lease = (await load.lease(held, HELD_LEASE_MS))!;
    if (run % 4 === 3) await load.untilArchived();
    const inReplica = await recordsOf(replica);
    const tail = (await recordsOf(old)) - inReplica;
    if (tail > 0) figures.tails += 1;
    figures.records += tail;
    if (Number(load.told.positions.at(-1)!.split('-')[1]) > inReplica) figures.ahead += 1;

    const isBack = run % BACK_EVERY === BACK_EVERY - 1;
    const livesOn = isBack && run % 2 === 0;
    if (!livesOn) await old.server.kill();
    await promote(replica);
    await lead(replica);
    figures.stale += await completeHeld(load, held, lease);
    await load.more(POSTS_BETWEEN);
    await load.untilArchived();

    if (isBack) {
      figures.back += 1;
      if (livesOn) figures.backToLiving += 1;
      else await old.server.start();
      await lead(old);
      await load.more(POSTS_BETWEEN);
      await replica.stop();
    } else {
      master = replica;
      await old.stop();
    }
  }
  const verdict = await load.drain();
  await service.pause();

  const records = await readLog(blobsOf(s3));
  judgeTold(t, load, verdict, records);
  const store = await RedisStore.open({
    url: master.server.url,
    prefix: 'clockwork',
    partitions: 1,
    policy: POLICY,
    limits: LIMITS,
    restarted: 'recover',
  });
  t.teardown(() => store.close());
  t.equal(await digestOfStore(store), digestOfLog(records), 'the store is what the log makes of nothing');
  t.ok(figures.tails >= 15, `${figures.tails} tails were lost`);
  t.ok(figures.back >= 5, `${figures.back} ways back`);
  t.ok(figures.stale > 0, `${figures.stale} stale tokens were refused`);
  t.comment(
    `${RUNS} runs, ${figures.tails} tails lost (${figures.records} records; the log ahead of the replica ${figures.ahead} ` +
      `times), ${figures.back} ways back (${figures.backToLiving} to a master that lived on); of ${verdict.posted} events ` +
      `\`store\` losses ${verdict.storeLosses}, archived losses ${verdict.archivedLosses}; ${figures.stale} stale tokens ` +
      `refused; writable again after ${figures.writableMsMax.toFixed(0)} ms at most; ${records.length} records of the log`,
  );
});

/**
 * Whoever holds a lease whose grant was lost finds the event given to somebody else, and is refused: 1. With a grant that
 * is archived the lease goes on: 0.
 */
async function completeHeld(load: LossyLoad, type: string, lease: LeaseBody): Promise<number> {
  const other = await load.lease(type, HELD_LEASE_MS);
  const status = await load.complete(lease);
  if (other === null) {
    if (status !== 200) throw new Error(`a lease that was not lost is refused: ${status}`);
    return 0;
  }
  if (status !== 409) throw new Error(`a stale token is answered with ${status}`);
  if ((await load.complete(other)) !== 200) throw new Error('the new lease does not hold');
  return 1;
}
