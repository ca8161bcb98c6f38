/** Child processes that must not outlive this one, however it ends short of `kill -9`: also when a test runs out of time. */
import type { ChildProcess } from 'node:child_process';

/** How each of them is killed. */
const children = new Map<ChildProcess, () => void>();
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

function killAll(): void {
  for (const kill of children.values()) kill();
}

function onSignal(signal: NodeJS.Signals): void {
  killAll();
  // The first listener took the signal's own effect away.
  for (const each of SIGNALS) process.removeListener(each, onSignal);
  process.kill(process.pid, signal);
}

/** Kills `child` when this process ends, unless it has ended before; with `group` all that it leads, see `killGroup`. */
export function endWithMe(child: ChildProcess, group = false): void {
  if (children.size === 0) {
    process.on('exit', killAll);
    for (const signal of SIGNALS) process.on(signal, onSignal);
    // Tap's word for a test that has run out of time; it kills the process soon after.
    process.on('SIGALRM', killAll);
  }
  children.set(child, () => (group ? killGroup(child, 'SIGKILL') : child.kill('SIGKILL')));
  child.once('exit', () => {
    children.delete(child);
    if (children.size > 0) return;
    process.removeListener('exit', killAll);
    process.removeListener('SIGALRM', killAll);
    for (const signal of SIGNALS) process.removeListener(signal, onSignal);
  });
}

/** Signals a child that was spawned `detached`, and whatever it has started: a program may be but a script around another. */
export function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-child.pid!, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
