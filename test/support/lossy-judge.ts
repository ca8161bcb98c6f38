/** What is asked at the end of a load that may have lost a tail: of what clients were told, of the log, and of the store. */
import type { Test } from 'tap';
import type { LogRecord } from '../../src/event/record.js';
import { formatPosition } from '../../src/event/record.js';
import { LogFold } from '../../src/log/fold.js';
import type { LossyLoad, Verdict } from './lossy-load.js';
import { MemoryBlobs } from './memory-blobs.js';
import type { TestS3Server } from './s3-server.js';

/** Everything that is known is complete, nothing archived is lost or was taken back, and the reader of the log had it all. */
export function judgeTold(t: Test, load: LossyLoad, verdict: Verdict, records: readonly LogRecord[]): void {
  t.same(load.told.broken.slice(0, 10), [], 'nothing that was shown as archived was taken back');
  t.equal(verdict.archivedLosses, 0, 'no archived event is lost');
  t.equal(verdict.complete, verdict.posted - verdict.storeLosses, 'all the others are complete');
  const positions = records.map(({ pos }) => formatPosition(pos));
  t.equal(load.told.positions.length, positions.length, 'who read the log had every record');
  t.same(differencesOf(load.told.positions, positions), [], 'once and in order');
}

/** What a service has logged of faults of its own is told at the end. */
export function tellFaults(t: Test, service: { readonly output: string }): void {
  t.teardown(() => {
    for (const line of service.output.split('\n'))
      if (line.includes('"internal-error"')) t.comment(line.slice(0, 2_000));
  });
}

export function digestOfLog(records: readonly LogRecord[]): string {
  const fold = new LogFold();
  for (const record of records) fold.add(record);
  return fold.finish().digest;
}

/** What is in the server's bucket now. */
export function blobsOf(s3: TestS3Server, bucket = 'test'): MemoryBlobs {
  const blobs = new MemoryBlobs();
  for (const [key, { body }] of s3.buckets.get(bucket) ?? []) blobs.objects.set(key, body);
  return blobs;
}

/** Settings of a service whose log is there. */
export function s3Settings(s3: TestS3Server, bucket = 'test'): Record<string, string> {
  return {
    S3_BUCKET: bucket,
    S3_ENDPOINT: s3.endpoint,
    S3_FORCE_PATH_STYLE: 'true',
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
  };
}

/** The first few places where the two differ. */
function differencesOf(read: readonly string[], logged: readonly string[]): string[] {
  return logged
    .flatMap((position, at) => (read[at] === position ? [] : [`${position}: ${read[at]}`]))
    .slice(0, 5);
}
