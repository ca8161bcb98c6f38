/** A PostgreSQL of a measurement's own: in a new folder, on a free port of the loopback, ended by its process id. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { endWithMe } from '../test/support/end-with-me.js';
import { freePort } from '../test/support/free-port.js';

/** Where Debian has one folder for each version. */
const DEBIAN = '/usr/lib/postgresql';
const START_MS_MAX = 20_000;

export interface PostgresServer {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Why none can be started, or null. */
export function postgresMissing(): string | null {
  if (programs() === null) return 'there is no initdb and postgres';
  if (runsAs() === null) return 'PostgreSQL does not run as root and there is no user postgres';
  return null;
}

/** Settings as they come: a transaction is on the disk when it is answered. */
export async function startPostgres(): Promise<PostgresServer> {
  const folder = programs()!;
  const user = runsAs()!;
  const dir = mkdtempSync(join(tmpdir(), 'clockwork-postgres-'));
  if ('uid' in user) chownSync(dir, user.uid, user.gid);
  const port = await freePort();
  const as = { ...user, cwd: dir };
  const stopped = () => rm(dir, { recursive: true, force: true });
  try {
    const args = ['-D', join(dir, 'data'), '-U', 'bench', '-A', 'trust', '--no-locale', '-E', 'UTF8'];
    execFileSync(join(folder, 'initdb'), args, { ...as, stdio: 'ignore' });
  } catch (error) {
    await stopped();
    throw error;
  }
  const settings = ['-p', String(port), '-h', '127.0.0.1', '-k', dir, '-c', 'shared_buffers=512MB'];
  const child = spawn(join(folder, 'postgres'), ['-D', join(dir, 'data'), ...settings], {
    ...as,
    stdio: 'ignore',
  });
  endWithMe(child);
  const stop = async () => {
    // At once and in order: clients are sent away, and nothing has to be repaired.
    if (child.exitCode === null && child.kill('SIGINT')) await once(child, 'exit');
    await stopped();
  };
  const endsAt = Date.now() + START_MS_MAX;
  const ready = () =>
    spawnSync(join(folder, 'pg_isready'), ['-q', '-h', '127.0.0.1', '-p', String(port)]).status === 0;
  while (!ready()) {
    if (child.exitCode !== null || Date.now() > endsAt) {
      await stop();
      throw new Error('PostgreSQL did not start');
    }
    await delay(50);
  }
  return { url: `postgres://bench@127.0.0.1:${port}/postgres`, pid: child.pid!, stop };
}

/** The folder of its programs. */
function programs(): string | null {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [
    ...(process.env['PATH'] ?? '').split(':'),
    ...versions.map((version) => `${DEBIAN}/${version}/bin`),
  ];
  const wanted = ['initdb', 'postgres', 'pg_isready'];
  return folders.find((folder) => wanted.every((name) => existsSync(join(folder, name)))) ?? null;
}

/** It refuses to run as root: then as the user that its package makes. */
function runsAs(): { uid: number; gid: number } | Record<string, never> | null {
  if (process.getuid?.() !== 0) return {};
  const id = (flag: string) =>
    Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout || Number.NaN);
  const [uid, gid] = [id('-u'), id('-g')];
  return Number.isNaN(uid) ? null : { uid, gid };
}
