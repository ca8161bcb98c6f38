/** What Redis says of itself, through redis-cli. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface CommandCost {
  readonly calls: number;
  readonly us: number;
}

export async function resetCommandStats(port: number): Promise<void> {
  await ask(port, 'config', 'resetstat');
}

/** Since the reset. A script's own line includes the commands that it called, which have lines too. */
export async function commandStats(port: number): Promise<Map<string, CommandCost>> {
  const text = await ask(port, 'info', 'commandstats');
  const lines = text.matchAll(/^cmdstat_([^:]+):calls=(\d+),usec=(\d+)/gm);
  return new Map([...lines].map(([, name, calls, us]) => [name!, { calls: Number(calls), us: Number(us) }]));
}

export async function usedMemoryMib(port: number): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await ask(port, 'info', 'memory'))?.[1]) / 2 ** 20;
}

/** Whether it writes its append-only file anew, in a process of its own. */
export async function isRewriting(port: number): Promise<boolean> {
  return /^aof_rewrite_in_progress:1/m.test(await ask(port, 'info', 'persistence'));
}

async function ask(port: number, ...words: readonly string[]): Promise<string> {
  const { stdout } = await run('redis-cli', ['-p', String(port), ...words]);
  return stdout;
}
