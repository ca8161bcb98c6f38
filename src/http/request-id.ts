/** Names for requests, to find one in the log: the caller's own when it gives one, else one of ours. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

const GIVEN = /^[\x21-\x7e]{1,128}$/;
const PROCESS = randomBytes(4).toString('hex');
let count = 0;

export function requestIdOf(request: Pick<IncomingMessage, 'headers'>): string {
  const given = request.headers['x-request-id'];
  if (typeof given === 'string' && GIVEN.test(given)) return given;
  count += 1;
  return `${PROCESS}-${count.toString(36)}`;
}
