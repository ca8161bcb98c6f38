/** What a process has cost so far, from `/proc`: Linux only. */
import { readFileSync } from 'node:fs';

/** Of USER_HZ, which is 100 on every Linux that Node runs on. */
const TICK_US = 10_000;

/** Processor time of all its threads, in microseconds. */
export function cpuUs(pid: number): number {
  const [user, system] = ticksOf(pid);
  return (user! + system!) * TICK_US;
}

/** Of all children of this process that have ended, in microseconds: what one of them took is the difference around it. */
export function endedChildrenCpuUs(): number {
  const [, , user, system] = ticksOf(process.pid);
  return (user! + system!) * TICK_US;
}

/** Its own in user and system mode, and of its ended children the same. */
function ticksOf(pid: number): number[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is a name in brackets that may hold anything; what is counted comes after it.
  return stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 15)
    .map(Number);
}

export function residentMib(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1]) / 1024;
}
