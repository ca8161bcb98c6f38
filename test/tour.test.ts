/**
 * The README's tour, run as it is written there: on the default, on Redis and S3, and on whatever service TOUR_URL names
 * (fresh, with nothing in it, durable as TOUR_DURABLE says).
 */
import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { startRedisServer } from './support/redis-server.js';
import { TestS3Server } from './support/s3-server.js';
import { REAL_S3_BUCKET, REAL_S3_ENDPOINT, s3Settings } from './support/s3-settings.js';
import { Service } from './support/service.js';
import { comparable, Namer, runSteps, type Step, stepsOf } from './support/tour.js';

const STEPS = stepsOf(readFileSync('README.md', 'utf8'), '## A tour in five minutes');
const OUTPUTS_MIN = 10;

async function takeTour(t: Test, url: string, durable: string): Promise<void> {
  const printed = await runSteps(STEPS, url);
  t.equal(printed.length, STEPS.length, 'every step was taken');
  const [written, real] = [new Namer('fsync'), new Namer(durable)];
  for (const [i, { commands, output }] of STEPS.entries()) {
    const language = output?.language ?? 'text';
    t.equal(
      comparable(printed[i]!, language, real),
      comparable(output?.text ?? '', language, written),
      commands,
    );
  }
}

t.test('the tour has commands and outputs', async (t) => {
  t.ok(STEPS.filter(({ output }) => output !== null).length >= OUTPUTS_MIN);
});

/** With an address given, only that is looked at. */
const GIVEN_URL = process.env['TOUR_URL'];
const elsewhere = GIVEN_URL !== undefined && 'TOUR_URL names another service';

t.test('the tour is as the README says, on the default', { skip: elsewhere }, async (t) => {
  const service = await Service.start();
  t.teardown(() => service.stop());
  await takeTour(t, service.url, 'fsync');
});

t.test('the tour is as the README says, on Redis and S3', { skip: elsewhere }, async (t) => {
  const redis = await startRedisServer();
  t.teardown(() => redis.stop());
  const s3 = await TestS3Server.start();
  t.teardown(() => s3.stop());
  const service = await Service.start({ env: { REDIS_URL: redis.url, ...s3Settings(s3.endpoint) } });
  t.teardown(() => service.stop());
  await takeTour(t, service.url, 'everysec');
});

t.test(
  'the tour is as the README says, on Redis and a real S3 server',
  { skip: !REAL_S3_ENDPOINT && 'S3_TEST_ENDPOINT is not set' },
  async (t) => {
    const redis = await startRedisServer();
    t.teardown(() => redis.stop());
    const s3 = s3Settings(String(REAL_S3_ENDPOINT), REAL_S3_BUCKET);
    const prefix = `tour-${Date.now()}-${process.pid}/`;
    const service = await Service.start({ env: { REDIS_URL: redis.url, ...s3, S3_PREFIX: prefix } });
    t.teardown(() => service.stop());
    await takeTour(t, service.url, 'everysec');
  },
);

t.test(
  'the tour is as the README says, where TOUR_URL points',
  { skip: GIVEN_URL === undefined && 'TOUR_URL is not set' },
  (t) => takeTour(t, String(GIVEN_URL), process.env['TOUR_DURABLE'] ?? 'everysec'),
);

t.test('a tour that differs from its README is found out', async (t) => {
  const steps: Step[] = stepsOf(
    '# x\n\n## Tour\n\n```bash\necho 1\n```\n\n```text\n2\n```\n\n```bash\ntrue\n```\n\n## After\n\n```bash\nfalse\n```\n',
    '## Tour',
  );
  t.same(steps, [
    { commands: 'echo 1\n', output: { language: 'text', text: '2\n' } },
    { commands: 'true\n', output: null },
  ]);
  t.same(await runSteps(steps, 'http://127.0.0.1:1'), ['1\n', '']);
  const id = (digit: string) => `01a20788-5522-7a82-800f-00000000000${digit}`;
  const namer = new Namer('fsync');
  t.equal(namer.name(`${id('1')} ${id('2')} ${id('1')}.0.0.1`), '<id 1> <id 2> <id 1> attempt of grant 1');
  t.not(
    comparable('{"status":"pending"}', 'json', namer),
    comparable('{"status":"complete"}', 'json', namer),
    'values count',
  );
  t.not(
    comparable('{"a":1,"b":2}', 'json', namer),
    comparable('{"b":2,"a":1}', 'json', namer),
    'order counts',
  );
});
