/** Submit: requests become events, each with an id that names the partition of its type. */
import type { AcceptCommand } from '../event/command.js';
import { type EnvelopeHead, packEnvelope, sha256Hex } from '../event/envelope.js';
import { makeEventId } from '../event/id.js';
import type { IdempotencyClaim } from '../event/record.js';
import { partitionOfType, type Store } from '../store/store.js';

export interface Submission {
  readonly type: string;
  readonly head: EnvelopeHead;
  readonly body: Uint8Array;
  /** 0: may be leased at once. */
  readonly delayMs: number;
  readonly idempotencyKey: string | null;
  /** The `Event-*` headers, `name: value`; with the idempotency key they tell one request from another. */
  readonly eventHeaders: readonly string[];
}

export type SubmitResult =
  | {
      readonly kind: 'accepted' | 'duplicate';
      readonly id: string;
      readonly type: string;
      readonly createdAt: number;
    }
  | { readonly kind: 'conflict'; readonly id: string }
  | { readonly kind: 'too_many_types' }
  | { readonly kind: 'full' };

export async function submit(
  store: Store,
  submissions: readonly Submission[],
  caller: string,
): Promise<SubmitResult[]> {
  const nowMs = Date.now();
  const commands = submissions.map((submission) => acceptCommand(store, submission, caller, nowMs));
  const results = await store.accept(commands);
  return results.map((result, index) =>
    result.kind === 'accepted' || result.kind === 'duplicate'
      ? { ...result, type: submissions[index]!.type }
      : result,
  );
}

function acceptCommand(store: Store, submission: Submission, caller: string, nowMs: number): AcceptCommand {
  const { type, head, body, delayMs } = submission;
  return {
    id: makeEventId(nowMs, partitionOfType(type, store.partitions)),
    type,
    envelope: packEnvelope(head, body),
    delayMs,
    idempotency: idempotencyOf(submission, caller),
  };
}

/**
 * One caller's key names one request (draft-ietf-httpapi-idempotency-key-header). The type is part of what is
 * compared, not of the name, so a key used again for another type is found out; with several partitions only
 * where both types live in the same one.
 */
function idempotencyOf(submission: Submission, caller: string): IdempotencyClaim | null {
  const { idempotencyKey, type, head, eventHeaders } = submission;
  if (idempotencyKey === null) return null;
  const { method, path, contentType, sha256 } = head;
  return {
    scope: JSON.stringify([caller, idempotencyKey]),
    fingerprint: sha256Hex(JSON.stringify([method, path, type, contentType, sha256, eventHeaders])),
  };
}
