/** The thread in which compaction runs, so that the event loop does not. */
import { constants, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { type CompactJob, compact } from './compact.js';
import { nodeFiles } from './files.js';

yieldToRequests();
parentPort!.postMessage(await compact(nodeFiles, workerData as CompactJob));

/**
 * Nobody waits for a snapshot, so where there are few processors it takes what requests leave. On Linux a priority is
 * the thread's own; elsewhere it would be the whole process's.
 */
function yieldToRequests(): void {
  if (process.platform !== 'linux') return;
  try {
    setPriority(0, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // A sandbox may forbid it: then compaction competes, as it did before.
  }
}
