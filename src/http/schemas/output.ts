/** What the service answers: the schemas that routes refer to by name, and the examples that they show. */

import { LogRecord } from './log-record.js';
import { EXAMPLE_ID, EXAMPLE_LINKS, EXAMPLE_TIME } from './members.js';
import { Problem } from './problem.js';
import {
  CancelledTree,
  Completed,
  completedExample,
  Emitted,
  Event,
  EventSummary,
  eventExample,
  Links,
  Receipt,
  Response,
  receiptExample,
  Tree,
} from './shown-event.js';
import { Attempt, Lease, LeasedEvent, leaseExample, Omitted, Result } from './shown-lease.js';

export const SHARED = [
  Links,
  Problem,
  Receipt,
  Response,
  Event,
  EventSummary,
  LeasedEvent,
  Lease,
  Completed,
  Emitted,
  Tree,
  CancelledTree,
  Result,
  Omitted,
  Attempt,
  LogRecord,
];

export const EXAMPLES = {
  receipt: receiptExample,
  lease: leaseExample,
  completed: completedExample,
  eventSummary: { ...eventExample, links: EXAMPLE_LINKS },
  id: EXAMPLE_ID,
  attemptId: leaseExample.attemptId,
  time: EXAMPLE_TIME,
};
