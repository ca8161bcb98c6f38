/** The thread in which compaction runs, so that the event loop does not. */
import { parentPort, workerData } from 'node:worker_threads';
import { type CompactJob, compact } from './compact.js';
import { nodeFiles } from './files.js';

parentPort!.postMessage(await compact(nodeFiles, workerData as CompactJob));
