/** Names every process that this run has started and not ended, ends it by its id, and fails when there was one. */
import { readdirSync, readFileSync } from 'node:fs';

const GRACE_MS = 3_000;
const LOOK_MS = 200;
const mark = `CLOCKWORK_CI_MARK=${process.env.CLOCKWORK_CI_MARK}`;

function read(pid, name) {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch {
    return ''; // It has ended meanwhile, or it is another user's.
  }
}

function parentOf(pid) {
  return Number(/^PPid:\s*(\d+)/m.exec(read(pid, 'status'))?.[1] ?? 0);
}

function ownLine() {
  const line = new Set();
  for (let pid = process.pid; pid > 0; pid = parentOf(pid)) line.add(pid);
  return line;
}

/** The `tail` that shows this output is not left behind: it ends with us. */
function isNeighbour(pid, line) {
  return line.has(parentOf(pid)) && read(pid, 'comm').trim() === 'tail';
}

function left() {
  const line = ownLine();
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter(
      (pid) => !line.has(pid) && read(pid, 'environ').split('\0').includes(mark) && !isNeighbour(pid, line),
    );
}

const until = Date.now() + GRACE_MS;
let pids = left();
while (pids.length > 0 && Date.now() < until) {
  await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  pids = left();
}
for (const pid of pids) {
  console.log(`left behind: ${pid} ${read(pid, 'cmdline').replaceAll('\0', ' ')}`);
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}
if (pids.length === 0) console.log('No process was left behind.');
process.exitCode = pids.length === 0 ? 0 : 1;
