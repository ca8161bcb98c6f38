/** Ordering keys as they are posted, in whichever form: of a size, of whole characters, and not together with a delay. */
import { ClockworkError } from '../errors.js';

/** Null: it has none. `code` is for what is wrong with the key itself. */
export function checkOrderingKey(
  key: string | null,
  delayMs: number,
  bytesMax: number,
  code: 'invalid-header' | 'invalid-request' | 'invalid-cloudevent',
): void {
  if (key === null) return;
  if (key === '' || Buffer.byteLength(key) > bytesMax)
    throw new ClockworkError(code, `The ordering key must have 1 to ${bytesMax} bytes.`);
  if (/\p{Surrogate}/u.test(key))
    throw new ClockworkError(code, 'The ordering key has half a surrogate pair.');
  if (delayMs > 0)
    throw new ClockworkError('key-with-delay', 'An event with an ordering key cannot have a delay.', {
      hint: 'Its turn comes when those before it have ended. Leave one of the two out.',
    });
}
