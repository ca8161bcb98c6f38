/** Callers that go away before they have their answer. */
import { setImmediate } from 'node:timers/promises';
import type { FastifyReply } from 'fastify';

/** Aborts when the caller hangs up while the answer is not written. */
export function hangUpSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  onHangUp(reply, () => controller.abort());
  return controller.signal;
}

/**
 * Calls `lost` once if the connection ends before the answer has been handed to the system, also when it already
 * has. An answer that is lost after that only its repeat can tell.
 */
export function onHangUp(reply: FastifyReply, lost: () => void): void {
  const { raw } = reply;
  if (raw.destroyed || raw.socket?.destroyed) {
    lost();
    return;
  }
  let written = false;
  raw.once('finish', () => {
    written = true;
  });
  raw.once('close', () => {
    if (!written) lost();
  });
}

/**
 * Resolves when every hang-up that the system knows of has been noticed. The store's answer and the caller's hang-up
 * may wait in the same turn of the event loop; an answer that is written first would look delivered.
 */
export function hangUpsNoticed(): Promise<void> {
  return setImmediate();
}
