/**
 * A record of the log as JSON text, for readers of the feed. Times are written as everywhere else in the interface, and
 * bodies are shown as leases show them. What could be used is left out: lease tokens, the names of lease calls, and of an
 * idempotency key all but when it ends.
 */
import { formatPosition, type LogRecord, type OfType, type RedriveSet } from '../event/record.js';
import { progressText, wishText } from '../event/redrive-job.js';
import { envelopeMembers, resultText, timeText } from './event-json.js';

export function recordText(record: LogRecord, partition: number): string {
  const { pos, at, op, type } = record;
  const base =
    `{"partition":${partition},"position":"${formatPosition(pos)}","at":"${timeText(at)}","op":"${op}",` +
    `"type":${JSON.stringify(type)}`;
  return `${base}${membersOf(record)}}`;
}

function keyMember(key: string | undefined): string {
  return key === undefined ? '' : `,"key":${JSON.stringify(key)}`;
}

function membersOf(record: LogRecord): string {
  if (!('id' in record)) return typeMembers(record);
  const id = `,"id":${JSON.stringify(record.id)}`;
  switch (record.op) {
    case 'accepted': {
      const { dueAt, deadlineAt, durability, idempotency, listeners, key, parent, root, redriveOf, payload } =
        record;
      const receivers = listeners === undefined ? '' : `,"listeners":${JSON.stringify(listeners)}`;
      const deadline = deadlineAt === undefined ? '' : `,"deadline":"${timeText(deadlineAt)}"`;
      const archives = durability === undefined ? '' : `,"durability":"${durability}"`;
      const until = idempotency === null ? 'null' : `"${timeText(idempotency.expiresAt)}"`;
      const tree = parent === undefined ? '' : `,"parent":"${parent}","root":"${root}"`;
      const again = redriveOf === undefined ? '' : `,"redriveOf":"${redriveOf}"`;
      const facts = `${deadline}${archives}${keyMember(key)}`;
      const about = `${receivers},"dueAt":"${timeText(dueAt)}"${facts}${tree}${again}`;
      return `${id}${about},"idempotentUntil":${until},"request":{${envelopeMembers(payload)}}`;
    }
    case 'granted': {
      const { attempt, worker, expiresAt } = record;
      const about = `"attempt":${attempt},"worker":${JSON.stringify(worker)},"expiresAt":"${timeText(expiresAt)}"`;
      return `${id}${deliveryMembers(record)},${about}`;
    }
    case 'handedBack':
      return `${id}${deliveryMembers(record)}`;
    case 'retried': {
      const { why, dueAt, payload } = record;
      const about = `"why":"${why}","dueAt":"${timeText(dueAt)}"`;
      return `${id}${deliveryMembers(record)},${about},"result":${shown(payload)}`;
    }
    case 'completed': {
      const { outcome, reason, emitted, payload } = record;
      const ids = emitted === undefined ? '' : `,"emitted":${JSON.stringify(emitted)}`;
      const about = `"outcome":"${outcome}","reason":${JSON.stringify(reason)}${ids}`;
      return `${id}${deliveryMembers(record)},${about},"result":${shown(payload)}`;
    }
    case 'emitted': {
      const { child, childType, root, dueAt, durability, key, payload } = record;
      const archives = durability === undefined ? '' : `,"durability":"${durability}"`;
      const about = `"child":"${child}","childType":${JSON.stringify(childType)},"root":"${root}"`;
      const due = `"dueAt":"${timeText(dueAt)}"${archives}${keyMember(key)}`;
      return `${id},${about},${due},"request":{${envelopeMembers(payload)}}`;
    }
    case 'relayed':
      return `${id},"child":"${record.child}"`;
    case 'dead':
      return `${id}${deliveryMembers(record)},"why":"${record.why}","result":${shown(record.payload)}`;
    case 'late':
      return `${id}${deliveryMembers(record)},"result":${shown(record.payload)}`;
    case 'pruned':
      return `${id},"index":${record.index}`;
    case 'unsubscribed': {
      const { listener, responder } = record;
      return `${id},"listener":${listener}${responder === undefined ? '' : `,"responder":${responder}`}`;
    }
    case 'cancelRequested':
    case 'cancelled':
    case 'deadlinePassed':
      return id;
  }
}

function typeMembers(record: OfType): string {
  if (record.op === 'redriveSet') return redriveMembers(record);
  const ordinal = `,"ordinal":${record.ordinal}`;
  switch (record.op) {
    case 'typeSet': {
      const { version, policy, paused = false } = record;
      const declared = policy === undefined ? 'null' : JSON.stringify(policy);
      return `${ordinal},"version":${version},"policy":${declared},"paused":${paused}`;
    }
    case 'listenerSet': {
      const { name, responder, filter } = record;
      return `${ordinal},"name":${JSON.stringify(name)},"responder":${responder},"filter":${JSON.stringify(filter)}`;
    }
    case 'listenerGone':
    case 'listenerSwept':
      return ordinal;
  }
}

function redriveMembers({ redrive, step, status, wish, progress }: RedriveSet): string {
  return `,"redrive":"${redrive}","step":${step},"status":"${status}","wish":${wishText(wish)},"progress":${progressText(progress)}`;
}

function deliveryMembers({ listener, grant }: { listener: number; grant: number }): string {
  return `,"listener":${listener},"grant":${grant}`;
}

function shown(result: Uint8Array | null): string {
  return result === null ? 'null' : resultText(result);
}
