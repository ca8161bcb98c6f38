/** What was measured where: stands at the head of every result. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';

export function describeMachine(): Record<string, string> {
  const [first] = cpus();
  return {
    date: new Date().toISOString(),
    commit: output('git', ['rev-parse', '--short', 'HEAD']),
    processors: `${cpus().length} × ${first?.model.trim() ?? 'unknown'}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    node: process.version,
    redis: /v=(\S+)/.exec(output('redis-server', ['--version']))?.[1] ?? 'none',
    load: loadavg()
      .map((each) => each.toFixed(2))
      .join(' '),
  };
}

/** Prints the Markdown, and keeps it, the JSON and the plots by their names in `bench/results`, which are not committed. */
export function report(
  name: string,
  markdown: string,
  json: unknown,
  plots: Readonly<Record<string, string>> = {},
): void {
  const machine = describeMachine();
  const head = Object.entries(machine).map(([key, value]) => `${key}: ${value}`);
  const text = `${head.join('; ')}\n\n${markdown}\n`;
  console.log(`\n${text}`);
  const at = machine['date']?.replaceAll(':', '');
  keep(`${name}-${at}.md`, text);
  keep(`${name}-${at}.json`, `${JSON.stringify({ machine, ...(json as object) }, null, 2)}\n`);
  for (const [plot, svg] of Object.entries(plots)) keep(`${plot}-${at}.svg`, svg);
}

function keep(file: string, text: string): void {
  mkdirSync('bench/results', { recursive: true });
  writeFileSync(`bench/results/${file}`, text);
  console.log(`bench/results/${file}`);
}

function output(command: string, args: readonly string[]): string {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return 'unknown';
  }
}
