/** What a key may look like. A key comes from numbers and fixed words, so a bad one is a programmer's mistake. */

const KEY = /^[a-z0-9-][a-z0-9.-]*(?:\/[a-z0-9-][a-z0-9.-]*)*$/;
const PREFIX = /^(?:[a-z0-9-][a-z0-9.-]*\/)*(?:[a-z0-9-][a-z0-9.-]*)?$/;

/** S3 allows 1,024 bytes; what is left is the bucket's own prefix. */
const KEY_LENGTH_MAX = 512;

/** The most that `list` gives and `delete` takes in one call; S3's own limit. */
export const KEYS_PER_CALL_MAX = 1_000;

export function isKey(text: string): boolean {
  return text.length <= KEY_LENGTH_MAX && KEY.test(text);
}

export function assertKey(key: string): void {
  if (!isKey(key)) throw new TypeError(`not a blob key: ${JSON.stringify(key)}`);
}

export function assertPrefix(prefix: string): void {
  if (prefix.length > KEY_LENGTH_MAX || !PREFIX.test(prefix)) {
    throw new TypeError(`not a prefix of blob keys: ${JSON.stringify(prefix)}`);
  }
}

export function assertRange(start: number, end: number): void {
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end <= start) {
    throw new RangeError(`not a range of bytes: ${start} up to ${end}`);
  }
}

export function assertPerCall(what: string, count: number): void {
  if (!Number.isSafeInteger(count) || count < 1 || count > KEYS_PER_CALL_MAX) {
    throw new RangeError(`${what} must be 1 to ${KEYS_PER_CALL_MAX}, not ${count}`);
  }
}
