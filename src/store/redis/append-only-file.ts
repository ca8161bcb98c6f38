/**
 * The append-only file of a server that has restarted, which must be written anew before anything is added to it.
 *
 * What a script writes stands there as one transaction. If the file ends within one, as it may when the process or the
 * machine fell in the middle of a write, Redis leaves that half out when it starts, and yet cuts off no more than the last
 * broken command: whatever is written next comes behind the half that is left, and ends the transaction. At the start
 * after that the half would count, and an event be stored that is in no queue. Writing the file anew leaves nothing of it,
 * and until it is done nothing must be written that could end the transaction.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { StoreError } from '../store.js';
import type { Ask, Connection, Logger } from './connection.js';
import { isForbidden, parseInfo } from './server-facts.js';

const LOOK_AGAIN_MS = 20;
/** After that the call fails, and says why: whoever made it comes again. */
const WAIT_MS_MAX = 2_000;

export class AppendOnlyFiles {
  /** The runs of the servers whose files are known to be whole. */
  #whole: readonly string[] = [];

  constructor(
    private readonly connection: Connection,
    private readonly logger: Logger | null,
  ) {}

  /**
   * Resolves when the files of all servers are whole; `isOpen` says whether a recovery has opened this run of the server
   * already, which it would not have done before. Rejects with StoreError while one is still being written.
   */
  async untilWhole(isOpen: () => Promise<boolean>): Promise<void> {
    await this.connection.trying('append-only-file', async () => {
      const runs = await this.connection.each(async (ask) => runOf(await infoOf(ask, 'server')));
      if (runs.every((run) => this.#whole.includes(run))) return;
      if (!(await isOpen())) await this.connection.each((ask) => this.#writeAnew(ask));
      this.#whole = runs;
    });
  }

  async #writeAnew(ask: Ask): Promise<void> {
    const endsAt = performance.now() + WAIT_MS_MAX;
    for (let asked = false; ; ) {
      const info = await infoOf(ask);
      if (isWhole(info)) return;
      if (!isBeingWritten(info)) {
        // It was, and has failed; or the server is another one by now.
        if (asked) throw tooEarly('it could not be written');
        if (!(await this.#ask(ask))) return;
        asked = true;
      }
      if (performance.now() > endsAt) throw tooEarly('that is still under way');
      await delay(LOOK_AGAIN_MS);
    }
  }

  /** False: the server does not let us, as many that are managed do, which keep no such file. */
  async #ask(ask: Ask): Promise<boolean> {
    try {
      await ask('BGREWRITEAOF');
    } catch (error) {
      if (/in progress/.test(String(error))) return true;
      if (!isForbidden(error)) throw error;
      const reason = String(error);
      this.logger?.warn(
        { reason },
        'Redis may not be told to write its append-only file anew: grant BGREWRITEAOF',
      );
      return false;
    }
    this.logger?.info({}, 'Redis has restarted, and writes its append-only file anew before it is recovered');
    return true;
  }
}

function tooEarly(why: string): StoreError {
  return new StoreError(
    'unavailable',
    'append-only-file',
    `Redis has to write it anew after a restart: ${why}`,
  );
}

async function infoOf(ask: Ask, ...sections: readonly string[]): Promise<Map<string, string>> {
  return parseInfo(String(await ask('INFO', ...sections)));
}

function runOf(info: Map<string, string>): string {
  return info.get('run_id') ?? '';
}

/** There is none; or it was written anew in this run; or nothing stands behind what it began with. */
function isWhole(info: Map<string, string>): boolean {
  if (info.get('aof_enabled') !== '1') return true;
  if (Number(info.get('aof_rewrites')) > 0)
    return !isBeingWritten(info) && info.get('aof_last_bgrewrite_status') === 'ok';
  return Number(info.get('aof_current_size')) <= Number(info.get('aof_base_size'));
}

function isBeingWritten(info: Map<string, string>): boolean {
  return info.get('aof_rewrite_in_progress') === '1' || info.get('aof_rewrite_scheduled') === '1';
}
