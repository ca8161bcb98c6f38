/** Submit: requests become events, each with an id that names the partition of its type. */
import type { AcceptCommand, AcceptResult } from '../event/command.js';
import { type EnvelopeHead, packEnvelope, sha256Hex } from '../event/envelope.js';
import { makeEventId } from '../event/id.js';
import type { IdempotencyClaim, Position } from '../event/record.js';
import type { Durability } from '../event/unarchived.js';
import { partitionOfType, type Store } from '../store/store.js';

export interface Submission {
  readonly type: string;
  readonly head: EnvelopeHead;
  readonly body: Uint8Array;
  /** The ordering key. */
  readonly key: string | null;
  /** 0: may be leased at once. */
  readonly delayMs: number;
  /** Null: what the type says. */
  readonly deadlineMs: number | null;
  readonly durability: Durability;
  readonly idempotencyKey: string | null;
  /** The `Event-*` headers, `name: value`; with the idempotency key they tell one request from another. */
  readonly eventHeaders: readonly string[];
  /** Of the body as it came, where that is not the body to be kept. */
  readonly requestSha256?: string;
}

export type SubmitResult =
  | {
      readonly kind: 'accepted' | 'duplicate';
      readonly id: string;
      readonly type: string;
      readonly createdAt: number;
      /** With `archive` it is archived. */
      readonly durability: Durability;
    }
  | { readonly kind: 'conflict'; readonly id: string }
  | { readonly kind: 'too_many_types' }
  | { readonly kind: 'too_many_pending' }
  | { readonly kind: 'full' }
  /** Too much waits to be archived. */
  | { readonly kind: 'behind' }
  /** It was taken, and was not archived in time. */
  | { readonly kind: 'not_archived'; readonly id: string }
  /** It was not taken: nothing can be archived. */
  | { readonly kind: 'archive_unavailable' };

/** What submitting needs of whoever archives. */
export interface Archive {
  /** Whether what is taken now can be archived, as far as is known. */
  available(partition: number): boolean;
  /** Whether the acceptance of the event, at this position, is archived in time. */
  hasArchived(id: string, position: Position): Promise<boolean>;
}

export async function submit(
  store: Store,
  archive: Archive,
  submissions: readonly Submission[],
  caller: string,
): Promise<SubmitResult[]> {
  const nowMs = Date.now();
  const taken = submissions.filter(
    ({ type, durability }) =>
      durability === 'store' || archive.available(partitionOfType(type, store.partitions)),
  );
  const commands = taken.map((submission) => acceptCommand(store, submission, caller, nowMs));
  const accepted = commands.length === 0 ? [] : await store.accept(commands);
  const answers = accepted.map((result, index) => answerOf(archive, taken[index]!, result));
  const results = answers.some((answer) => answer instanceof Promise)
    ? await Promise.all(answers)
    : (answers as SubmitResult[]);
  if (taken.length === submissions.length) return results;
  let at = 0;
  return submissions.map((each) => (each === taken[at] ? results[at++]! : { kind: 'archive_unavailable' }));
}

/** Not a promise where there is nothing to wait for, as with `store` durability, which most are. */
function answerOf(
  archive: Archive,
  { type, durability }: Submission,
  result: AcceptResult,
): SubmitResult | Promise<SubmitResult> {
  if (result.kind === 'no_listener') throw new Error('a submission is for no listener in particular');
  if (result.kind !== 'accepted' && result.kind !== 'duplicate') return result;
  const { kind, id, createdAt, archive: position } = result;
  const receipt = { kind, id, type, createdAt, durability } as const;
  if (position === null) return receipt;
  return archive
    .hasArchived(id, position)
    .then((archived): SubmitResult => (archived ? receipt : { kind: 'not_archived', id }));
}

function acceptCommand(store: Store, submission: Submission, caller: string, nowMs: number): AcceptCommand {
  const { type, head, body, key, delayMs, deadlineMs, durability } = submission;
  return {
    id: makeEventId(nowMs, partitionOfType(type, store.partitions)),
    type,
    envelope: packEnvelope(head, body),
    delayMs,
    ...(deadlineMs === null ? {} : { deadlineMs }),
    ...(key === null ? {} : { key }),
    idempotency: idempotencyOf(submission, caller),
    durability,
  };
}

/**
 * One caller's key names one request (draft-ietf-httpapi-idempotency-key-header). The type is part of what is
 * compared, not of the name, so a key used again for another type is found out; with several partitions only
 * where both types live in the same one.
 */
function idempotencyOf(submission: Submission, caller: string): IdempotencyClaim | null {
  const { idempotencyKey, type, head, eventHeaders, requestSha256 = head.sha256 } = submission;
  if (idempotencyKey === null) return null;
  const { method, path, contentType } = head;
  return {
    scope: JSON.stringify([caller, idempotencyKey]),
    fingerprint: sha256Hex(JSON.stringify([method, path, type, contentType, requestSha256, eventHeaders])),
  };
}
