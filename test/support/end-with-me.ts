/** Child processes that must not outlive this one, however it ends short of `kill -9`: also when a test runs out of time. */
import type { ChildProcess } from 'node:child_process';

const children = new Set<ChildProcess>();
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

function killAll(): void {
  for (const child of children) child.kill('SIGKILL');
}

function onSignal(signal: NodeJS.Signals): void {
  killAll();
  // The first listener took the signal's own effect away.
  for (const each of SIGNALS) process.removeListener(each, onSignal);
  process.kill(process.pid, signal);
}

/** Kills `child` when this process ends, unless it has ended before. */
export function endWithMe(child: ChildProcess): void {
  if (children.size === 0) {
    process.on('exit', killAll);
    for (const signal of SIGNALS) process.on(signal, onSignal);
    // Tap's word for a test that has run out of time; it kills the process soon after.
    process.on('SIGALRM', killAll);
  }
  children.add(child);
  child.once('exit', () => {
    children.delete(child);
    if (children.size > 0) return;
    process.removeListener('exit', killAll);
    process.removeListener('SIGALRM', killAll);
    for (const signal of SIGNALS) process.removeListener(signal, onSignal);
  });
}
