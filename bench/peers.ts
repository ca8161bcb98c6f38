/** What others would pick for the same job: installed when it is first wanted, and run in a process of its own. */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);
const FOLDER = 'bench/peers';

export interface PeerResult {
  readonly perSecond: number;
  /** Processor time of the peer's own process for each; Redis comes on top. */
  readonly cpuUs: number;
}

export function installPeers(): void {
  if (existsSync(`${FOLDER}/node_modules`)) return;
  const { status } = spawnSync('npm', ['ci', '--silent', '--omit=optional', '--prefix', FOLDER], {
    stdio: 'inherit',
  });
  if (status !== 0) throw new Error(`npm ci in ${FOLDER} failed`);
}

/** See peers/bullmq.mjs. */
export async function runBullMq(
  mode: 'add' | 'addBulk' | 'process',
  redisPort: number,
  jobs: number,
  bodyBytes: number,
): Promise<PeerResult> {
  const args = [`${FOLDER}/bullmq.mjs`, mode, String(redisPort), String(jobs), String(bodyBytes)];
  const { stdout } = await run(process.execPath, args);
  return JSON.parse(stdout) as PeerResult;
}
