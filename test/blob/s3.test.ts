/** The S3 adapter: the contract on the test server (and on a real one when the environment names it), then a server that misbehaves. */
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import t from 'tap';
import type { BlobFailure } from '../../src/blob/blob.js';
import { S3BlobStore } from '../../src/blob/s3.js';
import { blobContract, failureOf } from '../contract/blob.js';
import { type S3Fault, TestS3Server } from '../support/s3-server.js';

const REAL_ENDPOINT = process.env['S3_TEST_ENDPOINT'];
const SHORT_MS = 150;

/** The SDK's chain looks here first; what they are does not matter to the test server. */
process.env['AWS_ACCESS_KEY_ID'] ??= 'test';
process.env['AWS_SECRET_ACCESS_KEY'] ??= 'test';

function storeOn(server: TestS3Server, prefix = '', requestTimeoutMs = 10_000): S3BlobStore {
  return new S3BlobStore({
    bucket: 'test',
    prefix,
    endpoint: server.endpoint,
    forcePathStyle: true,
    requestTimeoutMs,
  });
}

t.test('the test server keeps the contract', async (t) => {
  const server = await TestS3Server.start();
  await blobContract(t, {
    open: async (name) => storeOn(server, `${name}/`),
    close: () => server.stop(),
  });
});

t.test(
  'a real server keeps the contract',
  { skip: !REAL_ENDPOINT && 'S3_TEST_ENDPOINT is not set' },
  async (t) => {
    const endpoint = String(REAL_ENDPOINT);
    const bucket = process.env['S3_TEST_BUCKET'] ?? 'clockwork-test';
    const admin = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true });
    await admin.send(new CreateBucketCommand({ Bucket: bucket })).catch((error: Error) => {
      if (error.name !== 'BucketAlreadyOwnedByYou') throw error;
    });
    admin.destroy();
    const run = `${Date.now()}-${process.pid}`;
    const open = async (name: string) =>
      new S3BlobStore({
        bucket,
        prefix: `${run}/${name}`,
        endpoint,
        forcePathStyle: true,
        requestTimeoutMs: 20_000,
      });
    await blobContract(t, { open, close: async () => undefined });

    const missing = new S3BlobStore({
      bucket: `${bucket}-none`,
      prefix: '',
      endpoint,
      forcePathStyle: true,
      requestTimeoutMs: 20_000,
    });
    t.equal(await failureOf(missing.putIfAbsent('x', Buffer.from('1'))), 'refused', 'no such bucket');
    t.equal(await failureOf(missing.get('x')), 'refused');
    await missing.close();
  },
);

t.test('a server that misbehaves', async (t) => {
  const server = await TestS3Server.start();
  t.teardown(() => server.stop());
  t.beforeEach(() => {
    server.misbehave = () => null;
    server.buckets.get('test')?.clear();
  });
  const blobs = storeOn(server);
  const impatient = storeOn(server, '', SHORT_MS);
  t.teardown(() => Promise.all([blobs.close(), impatient.close()]));
  const statuses: [number, string, BlobFailure][] = [
    [500, 'InternalError', 'unavailable'],
    [502, 'BadGateway', 'unavailable'],
    [503, 'SlowDown', 'unavailable'],
    [409, 'ConditionalRequestConflict', 'unavailable'],
    [429, 'TooManyRequests', 'unavailable'],
    [400, 'RequestTimeout', 'unavailable'],
    [403, 'RequestTimeTooSkewed', 'unavailable'],
    [400, 'InvalidArgument', 'refused'],
    [403, 'AccessDenied', 'refused'],
    [403, 'SignatureDoesNotMatch', 'refused'],
    [404, 'NoSuchBucket', 'refused'],
    [404, 'SomethingElse', 'refused'],
    [405, 'MethodNotAllowed', 'refused'],
    [501, 'NotImplemented', 'refused'],
  ];
  for (const [status, code, expected] of statuses) {
    await t.test(`${status} ${code} is ${expected}, for each operation`, async (t) => {
      const answer: S3Fault = { kind: 'status', status, code };
      server.misbehave = () => answer;
      t.equal(await failureOf(blobs.putIfAbsent('x', Buffer.from('1'))), expected);
      t.equal(await failureOf(blobs.get('x')), expected);
      t.equal(await failureOf(blobs.getRange('x', 0, 1)), expected);
      t.equal(await failureOf(blobs.list('', { limit: 1 })), expected);
      t.equal(await failureOf(blobs.delete(['x'])), expected);
      t.equal(await failureOf(blobs.probe()), expected);
    });
  }

  await t.test('one call is one request: nothing is retried in here', async (t) => {
    const before = server.calls.length;
    server.misbehave = () => ({ kind: 'status', status: 503, code: 'SlowDown' });
    await failureOf(blobs.putIfAbsent('x', Buffer.from('1')));
    await failureOf(blobs.get('x'));
    t.equal(server.calls.length - before, 2);
  });

  await t.test(
    'an error page of something that is not S3 is an error, and never "nothing there"',
    async (t) => {
      server.misbehave = () => ({ kind: 'proxyPage', status: 502 });
      t.equal(await failureOf(blobs.putIfAbsent('x', Buffer.from('1'))), 'unavailable');
      t.equal(await failureOf(blobs.get('x')), 'unavailable');
      server.misbehave = () => ({ kind: 'proxyPage', status: 404 });
      t.not(await failureOf(blobs.get('x')), 'none');
      t.not(await failureOf(blobs.list('', { limit: 1 })), 'none');
    },
  );

  await t.test(
    'a put whose connection breaks before or after it was done is unavailable; the next try finds out',
    async (t) => {
      server.failNext('put', { kind: 'reset', when: 'before' });
      t.equal(await failureOf(blobs.putIfAbsent('before', Buffer.from('1'))), 'unavailable');
      t.equal(await blobs.putIfAbsent('before', Buffer.from('1')), 'created');
      server.failNext('put', { kind: 'reset', when: 'after' });
      t.equal(await failureOf(blobs.putIfAbsent('after', Buffer.from('1'))), 'unavailable');
      t.equal(await blobs.putIfAbsent('after', Buffer.from('1')), 'exists');
    },
  );

  await t.test(
    'a put that is done and never answered is unavailable in time; the next try finds out',
    async (t) => {
      server.failNext('put', { kind: 'silence' });
      const error = await impatient.putIfAbsent('x', Buffer.from('1')).catch((caught: unknown) => caught);
      t.match(error, {
        failure: 'unavailable',
        operation: 'put',
        key: 'x',
        message: /no answer within 150 ms/,
      });
      t.equal(await blobs.putIfAbsent('x', Buffer.from('1')), 'exists');
    },
  );

  await t.test('a 500 after the put was done is unavailable; the next try finds out', async (t) => {
    server.failNext('put', { kind: 'status', status: 500, code: 'InternalError', commit: true });
    t.equal(await failureOf(blobs.putIfAbsent('x', Buffer.from('1'))), 'unavailable');
    t.equal(await blobs.putIfAbsent('x', Buffer.from('1')), 'exists');
  });

  await t.test('a 200 with an error in it is unavailable, for each operation', async (t) => {
    server.misbehave = () => ({ kind: 'errorBody' });
    t.equal(await failureOf(blobs.putIfAbsent('x', Buffer.from('1'))), 'unavailable');
    t.equal(await failureOf(blobs.get('x')), 'unavailable');
    t.equal(await failureOf(blobs.list('', { limit: 1 })), 'unavailable');
    t.same(
      (await blobs.delete(['x', 'y']).catch(() => [])).filter((result) => result.deleted),
      [],
    );
  });

  await t.test('a body cut short is unavailable, whether the connection breaks or stalls', async (t) => {
    await blobs.putIfAbsent('x', Buffer.alloc(100_000, 'x'));
    server.misbehave = () => ({ kind: 'truncate' });
    t.equal(await failureOf(blobs.get('x')), 'unavailable');
    t.equal(await failureOf(blobs.getRange('x', 10, 50_000)), 'unavailable');
    server.misbehave = () => ({ kind: 'truncate', stall: true });
    t.equal(await failureOf(impatient.get('x')), 'unavailable');
    server.misbehave = () => null;
    t.equal((await blobs.get('x'))?.byteLength, 100_000);
  });

  await t.test('a server that ignores the condition is found out by the probe', async (t) => {
    server.misbehave = () => ({ kind: 'ignoreCondition' });
    t.same(await blobs.probe(), { conditionalPut: false });
    t.same(await blobs.list('', { limit: 10 }), [], 'and nothing is left behind');
  });

  await t.test('a multi-delete tells of each key, also when some are refused', async (t) => {
    for (const key of ['a', 'b', 'c']) await blobs.putIfAbsent(key, Buffer.from(key));
    server.failNext('deleteMany', { kind: 'refuseKeys', keys: ['b'] });
    t.same(await blobs.delete(['a', 'b', 'c']), [
      { key: 'a', deleted: true, message: null },
      { key: 'b', deleted: false, message: 'AccessDenied: not this one' },
      { key: 'c', deleted: true, message: null },
    ]);
  });

  await t.test('what others keep in the bucket is neither listed nor an end of the list', async (t) => {
    const objects = server.buckets.get('test');
    for (const key of ['a', 'b', 'c']) await blobs.putIfAbsent(key, Buffer.from(key));
    const stored = objects?.get('a');
    if (stored) for (const foreign of ['A', 'a b', 'b~']) objects?.set(foreign, stored);
    t.same(
      (await blobs.list('', { limit: 3 })).map((info) => info.key),
      ['a', 'b', 'c'],
    );
  });

  await t.test('a server that is not there is unavailable', async (t) => {
    const gone = await TestS3Server.start();
    const store = storeOn(gone);
    await gone.stop();
    t.equal(await failureOf(store.putIfAbsent('x', Buffer.from('1'))), 'unavailable');
    await store.close();
  });

  await t.test('a body of many megabytes goes as it is, without waiting to be asked for it', async (t) => {
    const body = Buffer.alloc(8 << 20, 'y');
    t.equal(await blobs.putIfAbsent('big', body), 'created');
    t.ok(body.equals((await blobs.get('big')) ?? Buffer.alloc(0)));
  });

  await t.test(
    'it says where it is, without credentials; the prefix ends with a slash or is none',
    async (t) => {
      t.equal(storeOn(server, 'a/b').description, 's3://test/a/b');
      t.equal(storeOn(server).description, 's3://test');
      await storeOn(server, 'a/b').putIfAbsent('c', Buffer.from('1'));
      t.ok(server.buckets.get('test')?.has('a/b/c'));
    },
  );
});

t.test('what cannot even be sent wants somebody to change something', async (t) => {
  const { AWS_REGION: region } = process.env;
  delete process.env['AWS_REGION'];
  // No file of the machine's may name one either.
  process.env['AWS_CONFIG_FILE'] = process.env['AWS_SHARED_CREDENTIALS_FILE'] = '/dev/null';
  const blobs = new S3BlobStore({
    bucket: 'test',
    prefix: '',
    forcePathStyle: false,
    requestTimeoutMs: 5_000,
  });
  t.teardown(() => {
    if (region !== undefined) process.env['AWS_REGION'] = region;
    delete process.env['AWS_CONFIG_FILE'];
    delete process.env['AWS_SHARED_CREDENTIALS_FILE'];
    return blobs.close();
  });
  await t.rejects(blobs.get('x'), { failure: 'refused', message: /Region is missing/ });
});
