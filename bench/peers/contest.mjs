/**
 * How each peer is measured. It is started as
 *
 *   node PEER.mjs add|addBulk|process SERVER_URL SERVER_PID JOBS BODY_BYTES
 *
 * and prints one line of JSON: jobs a second, and the processor time of this process and of its server for each.
 */
import { readdirSync, readFileSync } from 'node:fs';

const [mode, url, serverPid, ...counts] = process.argv.slice(2);
const [jobs, bodyBytes] = counts.map(Number);

export const BULK = 100;
export const BULKS_AT_ONCE = 8;
export const CONCURRENCY = 64;

export const given = { mode, url, data: { orderId: 4711, note: 'n'.repeat(bodyBytes - 26) } };

/** `count` times `work`, so many at a time. */
export async function times(count, atOnce, work) {
  let left = count;
  const one = async () => {
    while (left-- > 0) await work();
  };
  await Promise.all(Array.from({ length: atOnce }, one));
}

/** `add()` one, `addBulk()` BULK of them; `process(count)` resolves when so many are done; `clear()` leaves nothing. */
export async function contest({ add, addBulk, process: processAll, clear }) {
  const addMany = (count) => times(count / BULK, BULKS_AT_ONCE, addBulk);
  const modes = {
    add: { before: () => {}, run: (count) => times(count, CONCURRENCY, add) },
    addBulk: { before: () => {}, run: addMany },
    process: { before: addMany, run: processAll },
  };
  const { before, run } = modes[mode];
  const measure = async (count) => {
    await before(count);
    const cpu = process.cpuUsage();
    const server = serverCpuUs();
    const began = performance.now();
    await run(count);
    const seconds = (performance.now() - began) / 1_000;
    const { user, system } = process.cpuUsage(cpu);
    return {
      perSecond: count / seconds,
      cpuUs: (user + system) / count,
      serverCpuUs: (serverCpuUs() - server) / count,
    };
  };
  // For the compiler to have seen the code at work.
  await measure(Math.ceil(jobs / 4 / BULK) * BULK);
  await clear();
  console.log(JSON.stringify(await measure(jobs)));
  // Clients leave connections open that were given to them.
  process.exit();
}

/** Of the server and its children, the ended ones too: PostgreSQL has a process for each connection. */
function serverCpuUs() {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const stats = pids.flatMap((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      return [
        {
          pid,
          fields: stat
            .slice(stat.lastIndexOf(')') + 2)
            .split(' ')
            .map(Number),
        },
      ];
    } catch {
      // It has ended between two looks.
      return [];
    }
  });
  const ticks = stats.map(({ pid, fields }) => {
    if (pid === serverPid) return fields[11] + fields[12] + fields[13] + fields[14];
    return fields[1] === Number(serverPid) ? fields[11] + fields[12] : 0;
  });
  return ticks.reduce((a, b) => a + b, 0) * 10_000;
}
