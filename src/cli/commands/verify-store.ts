/** `clockwork verify --store`: whether the store is what the log says. */
import type { BlobStore } from '../../blob/blob.js';
import type { LogIdentity } from '../../log/reader.js';
import { type StoreReading, type StoreReport, verifyStore } from '../../log/verify-store.js';
import { StoreError } from '../../store/store.js';
import { type CliContext, CliError, EXIT } from '../context.js';
import { ProgressLine } from '../progress.js';
import { describePlace, storeSettings } from '../store-place.js';

export async function verifyAgainstLog(
  context: CliContext,
  options: { readonly json?: true },
  blobs: BlobStore,
  identity: LogIdentity,
): Promise<void> {
  const settings = storeSettings(context.env, identity.partitions);
  const where = describePlace(settings.place);
  const opened = await context.readStore(settings).catch((error: Error) => {
    throw new CliError(EXIT.unreachable, `the store, ${where}, cannot be read: ${error.message}`);
  });
  if (opened === null)
    throw new CliError(
      EXIT.unsound,
      `there is no store in ${where}`,
      'Set DATA_DIR or REDIS_URL as the service has it.',
    );
  const progress = new ProgressLine(context);
  let report: StoreReport;
  try {
    await refuseForeign(opened.store, identity, where);
    report = await verifyStore({
      blobs,
      identity,
      store: opened.store,
      warn: ({ message }) => context.err(`clockwork: ${message}\n`),
      progress: (what, done, total) => progress.show(what, done, total),
    });
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    throw new CliError(
      EXIT.unreachable,
      `the store, ${where}: ${error.message}`,
      'A store that waits to be brought up to the log shows nothing until a service has done so.',
    );
  } finally {
    progress.end();
    await opened.close();
  }
  const same = report.differing === 0 && report.storeDigest === report.logDigest;
  const summary = { log: blobs.description, logId: identity.logId, store: where, same, ...report };
  await context.out(options.json ? `${JSON.stringify(summary)}\n` : textOf(summary));
  if (same) return;
  throw new CliError(
    EXIT.unsound,
    `the store, ${where}, is not what the log at ${blobs.description} says: ${report.differing} events or types differ`,
    'What is in the log is what happened. A store that is emptied is rebuilt from it.',
  );
}

async function refuseForeign(store: StoreReading, identity: LogIdentity, where: string): Promise<void> {
  for (let partition = 0; partition < identity.partitions; partition += 1) {
    const { logId } = await store.standing(partition);
    if (logId === null || logId === identity.logId) continue;
    throw new CliError(
      EXIT.unsound,
      `the store, ${where}, belongs to log ${logId}, and this is log ${identity.logId}`,
    );
  }
}

interface Summary extends StoreReport {
  readonly log: string;
  readonly logId: string;
  readonly store: string;
  readonly same: boolean;
}

function textOf(summary: Summary): string {
  const { log, logId, store, same, events, ahead, storeDigest, logDigest, differing, differences } = summary;
  const lines = [
    `log ${log}, logId ${logId}`,
    `store ${store}`,
    `  events    ${events}, ${ahead} records that the log does not have yet`,
    `  digest    ${storeDigest} of the store`,
    `  digest    ${logDigest} of log and outbox`,
    ...differences.map(({ id, what }) => `  DIFFERS   ${id}: ${what}`),
    ...(differing > differences.length ? [`  DIFFERS   … ${differing - differences.length} more`] : []),
    same ? 'the same' : 'NOT THE SAME',
  ];
  return `${lines.join('\n')}\n`;
}
