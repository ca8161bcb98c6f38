/**
 * A redis-server of a test's own: on a free port of the loopback, in a new folder, with its append-only file on.
 * It is ended by its process id, and its folder is removed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, rm, stat, truncate } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endWithMe } from './end-with-me.js';
import { freePort } from './free-port.js';

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  readonly dir: string;
  /** Of the running server. */
  readonly pid: number;
  /** kill -9; what the append-only file holds is there again after `start`. */
  kill(): Promise<void>;
  /** After `kill`: the end of the append-only file never reached the disk. */
  cutFile(bytes: number): Promise<void>;
  /** Starts it again after `kill`, with the same port and folder. */
  start(): Promise<void>;
  /** Ends it and removes its folder. May be called twice. */
  stop(): Promise<void>;
}

const START_MS_MAX = 20_000;

/** `args` are settings as on redis-server's command line, such as `['--maxmemory', '20mb']`; a later one wins. */
export async function startRedisServer(args: readonly string[] = []): Promise<RedisServer> {
  const dir = await mkdtemp(join(tmpdir(), 'clockwork-redis-'));
  const port = await freePort();
  const settings = ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', ''];
  settings.push('--appendonly', 'yes', '--appendfsync', 'everysec', ...args);
  let child: ChildProcess | null = null;

  async function start(): Promise<void> {
    child = spawn('redis-server', settings, { stdio: 'ignore' });
    endWithMe(child);
    await answering(child, port);
  }

  async function kill(): Promise<void> {
    const dying = child;
    child = null;
    if (!dying || dying.exitCode !== null || dying.signalCode !== null) return;
    const gone = new Promise((resolve) => dying.once('exit', resolve));
    dying.kill('SIGKILL');
    await gone;
  }

  await start();
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    dir,
    get pid() {
      if (!child?.pid) throw new Error('redis-server is not running');
      return child.pid;
    },
    kill,
    async cutFile(bytes) {
      const folder = join(dir, 'appendonlydir');
      const names = (await readdir(folder)).filter((name) => name.endsWith('.incr.aof'));
      if (names.length !== 1) throw new Error(`one file was to be cut, and there are: ${names}`);
      const file = join(folder, names[0]!);
      await truncate(file, Math.max(0, (await stat(file)).size - bytes));
    },
    start,
    async stop() {
      await kill();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function answering(child: ChildProcess, port: number): Promise<void> {
  let failure: Error | null = null;
  child.once('error', (error) => {
    failure = error;
  });
  const deadline = Date.now() + START_MS_MAX;
  while (!(await pongs(port))) {
    if (failure) throw failure;
    if (child.exitCode !== null) throw new Error(`redis-server ended with code ${child.exitCode}`);
    if (Date.now() > deadline) throw new Error(`redis-server did not answer within ${START_MS_MAX} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** It answers, and not with LOADING. */
function pongs(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('error', () => end(false));
    socket.once('close', () => end(false));
    socket.once('data', (data) => end(data.toString().startsWith('+PONG')));
    socket.once('connect', () => socket.write('PING\r\n'));
  });
}
