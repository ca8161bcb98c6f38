/** What others would pick for the same job: installed when it is first wanted, and run in a process of its own. */
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { startRedisServer } from '../test/support/redis-server.js';
import type { Entrant, Run } from './measure/entrants.js';
import { natsMissing, startNats } from './nats-server.js';
import { postgresMissing, startPostgres } from './postgres-server.js';

const run = promisify(execFile);
const FOLDER = 'bench/peers';
/** Another Node for the peers that want a newer one than the service. */
const NODE = process.env['BENCH_NODE'] ?? process.execPath;

export type Mode = 'add' | 'addBulk' | 'process';

interface Server {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

interface Peer {
  readonly name: string;
  readonly doesLess: string;
  /** In `bench/peers`. */
  readonly program: string;
  readonly nodeMin: readonly [major: number, minor: number];
  /** What its server's processor time is called. */
  readonly server: string;
  /** Why its server cannot be started, or null. */
  missing(): string | null;
  start(): Promise<Server>;
  /** Of the jobs that the fastest do in the same time. */
  readonly share: number;
}

export const BULLMQ = 'BullMQ 6, in process';

const IN_PROCESS = 'no HTTP, no log, no fencing, no answer for who asked';
const PEERS: readonly Peer[] = [
  {
    name: BULLMQ,
    doesLess: IN_PROCESS,
    program: 'bullmq.mjs',
    nodeMin: [20, 0],
    server: 'Redis',
    missing: () => null,
    start: () => startRedisServer(),
    share: 1,
  },
  {
    name: '@platformatic/job-queue 0.5, in process',
    doesLess: 'no HTTP, no log, no fencing',
    program: 'platformatic.mjs',
    nodeMin: [22, 19],
    server: 'Redis',
    missing: () => null,
    start: () => startRedisServer(),
    share: 0.5,
  },
  {
    name: 'pg-boss 12 on PostgreSQL, in process',
    doesLess: 'no HTTP, no log beside its tables, no fencing',
    program: 'pg-boss.mjs',
    nodeMin: [22, 12],
    server: 'PostgreSQL',
    missing: postgresMissing,
    start: startPostgres,
    share: 0.2,
  },
  {
    name: 'NATS JetStream, from one process',
    doesLess: 'no HTTP, no answer; not on the disk when it is acknowledged',
    program: 'nats.mjs',
    nodeMin: [20, 0],
    server: 'NATS',
    missing: natsMissing,
    start: startNats,
    share: 1,
  },
];

/** Those that can run here; a line for each that cannot. */
export async function peersFor(mode: Mode, jobs: number, bodyBytes: number): Promise<Entrant[]> {
  const node = nodeVersion();
  return PEERS.flatMap((peer) => {
    const why = tooOld(node, peer.nodeMin) ?? peer.missing();
    if (why === null) return [entrantOf(peer, mode, jobs, bodyBytes)];
    console.error(`${peer.name}: left out, ${why}`);
    return [];
  });
}

export function bullMq(mode: Mode, jobs: number, bodyBytes: number): Entrant {
  return entrantOf(PEERS[0]!, mode, jobs, bodyBytes);
}

function entrantOf(
  { name, doesLess, program, server, start, share }: Peer,
  mode: Mode,
  jobs: number,
  bytes: number,
): Entrant {
  const count = 1_000 * Math.ceil((jobs * share) / 1_000);
  const one = async (): Promise<Run> => {
    installPeers();
    const running = await start();
    try {
      const args = [
        `${FOLDER}/${program}`,
        mode,
        running.url,
        String(running.pid),
        String(count),
        String(bytes),
      ];
      const { stdout } = await run(NODE, args, { env: { PATH: process.env['PATH'] ?? '' } });
      const { perSecond, cpuUs, serverCpuUs } = JSON.parse(stdout) as Record<string, number>;
      return { perSecond: perSecond!, cpuUs: { peer: cpuUs!, [server]: serverCpuUs! }, percentilesMs: null };
    } finally {
      await running.stop();
    }
  };
  return { name, doesLess, run: one };
}

function installPeers(): void {
  const wanted = ['bullmq', '@platformatic/job-queue', 'pg-boss', 'nats'];
  if (wanted.every((name) => existsSync(`${FOLDER}/node_modules/${name}`))) return;
  // As the lock says; `npm ci` would ask for what BullMQ's optional packages have for every other system too.
  const args = ['install', '--no-save', '--silent', '--omit=optional', '--prefix', FOLDER];
  const { status } = spawnSync('npm', args, { stdio: 'inherit' });
  if (status !== 0) throw new Error(`npm install in ${FOLDER} failed`);
}

function nodeVersion(): string {
  return execFileSync(NODE, ['--version'], { encoding: 'utf8' }).trim().slice(1);
}

/** Why a peer cannot run on this Node, or null. */
export function tooOld(version: string, [major, minor]: readonly [number, number]): string | null {
  const [its = 0, itsMinor = 0] = version.split('.').map(Number);
  if (its > major || (its === major && itsMinor >= minor)) return null;
  return `it wants Node ${major}.${minor} and this is ${version}: name another by BENCH_NODE`;
}
