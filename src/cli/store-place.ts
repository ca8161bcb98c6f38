/** Where the store is that a command works on: what the variables say that the service takes. */
import { resolve } from 'node:path';
import { ConfigError, readConfig } from '../config.js';
import { type Recoverable, type Store, StoreError } from '../store/store.js';
import { type CliContext, CliError, EXIT, type StorePlace, type StoreSettings } from './context.js';

/** Of all that the service can be told, what says where its store is. */
const VARIABLES = ['DATA_DIR', 'REDIS_URL', 'REDIS_PREFIX', 'PARTITIONS', 'TYPES_MAX', 'EMBEDDED_BYTES_MAX'];

/** `partitions` are the log's. */
export function storeSettings(env: CliContext['env'], partitions: number): StoreSettings {
  const config = readStoreVariables(env);
  const { redisUrl: url, redisPrefix: prefix, leaseMsMax, typesMax, embeddedBytesMax: bytesMax } = config;
  if (config.partitions !== partitions) {
    throw new CliError(
      EXIT.usage,
      `the log has ${partitions} partitions, and PARTITIONS is ${config.partitions}`,
      `Set PARTITIONS=${partitions}${url === null ? ', which needs REDIS_URL' : ''}.`,
    );
  }
  const place: StorePlace =
    url === null
      ? { kind: 'embedded', folder: resolve(config.dataDir, 'store') }
      : { kind: 'redis', url, prefix, partitions };
  return { place, policy: config, limits: { leaseMsMax, typesMax, bytesMax } };
}

function readStoreVariables(env: CliContext['env']) {
  try {
    return readConfig(Object.fromEntries(VARIABLES.map((name) => [name, env[name]])));
  } catch (error) {
    if (error instanceof ConfigError) throw new CliError(EXIT.usage, error.message);
    throw error;
  }
}

/** For people; holds no credentials. */
export function describePlace(place: StorePlace): string {
  if (place.kind === 'embedded') return `folder ${place.folder}`;
  return `Redis ${place.url.replace(/^([a-z+]+:\/\/)(?:.*@)?/s, '$1').replace(/[?#].*$/s, '')}, prefix ${place.prefix}`;
}

/** Opens the store for `use` and closes it. What goes wrong with it becomes a CliError. */
export async function withStore<Result>(
  context: CliContext,
  settings: StoreSettings,
  use: (store: Store & Recoverable) => Promise<Result>,
): Promise<Result> {
  const where = describePlace(settings.place);
  let store: Store & Recoverable;
  try {
    store = await context.openStore(settings);
  } catch (error) {
    throw new CliError(
      EXIT.unreachable,
      `the store, ${where}, cannot be opened: ${(error as Error).message}`,
    );
  }
  try {
    return await use(store);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    throw new CliError(EXIT.unreachable, `the store, ${where}: ${error.message}`);
  } finally {
    await store.close();
  }
}
