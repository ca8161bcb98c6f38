/** A NATS server with JetStream of a measurement's own: in a new folder, on a free port of the loopback, ended by its process id. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { endWithMe } from '../test/support/end-with-me.js';
import { freePort } from '../test/support/free-port.js';

const PROGRAM = 'nats-server';
const START_MS_MAX = 10_000;

export interface NatsServer {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Why none can be started, or null. */
export function natsMissing(): string | null {
  return spawnSync(PROGRAM, ['--version']).status === 0 ? null : 'nats-server is not installed';
}

export async function startNats(): Promise<NatsServer> {
  const dir = await mkdtemp(join(tmpdir(), 'clockwork-nats-'));
  const port = await freePort();
  const child = spawn(PROGRAM, ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', dir], {
    stdio: 'ignore',
  });
  endWithMe(child);
  const stop = async () => {
    if (child.exitCode === null && child.kill()) await once(child, 'exit');
    await rm(dir, { recursive: true, force: true });
  };
  const endsAt = Date.now() + START_MS_MAX;
  while (!(await answers(port))) {
    if (child.exitCode !== null || Date.now() > endsAt) {
      await stop();
      throw new Error('nats-server did not start');
    }
    await delay(20);
  }
  return { url: `nats://127.0.0.1:${port}`, pid: child.pid!, stop };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('data', () => end(true));
    socket.once('error', () => end(false));
  });
}
