/** The `Prefer` header (RFC 7240), of which the service heeds `wait`. */

/** How long the caller would wait, in ms, at most `waitMsMax`; null when it does not say. */
export function preferredWaitMs(prefer: string | string[] | undefined, waitMsMax: number): number | null {
  if (prefer === undefined) return null;
  const text = Array.isArray(prefer) ? prefer.join(',') : prefer;
  // What stands in quotes is a value, not a preference, whatever commas it has.
  const flat = text.replace(/"((?:[^"\\]|\\.)*)"/g, (_, value: string) => (/^\d+$/.test(value) ? value : ''));
  const match = /(?:^|,)\s*wait\s*=\s*(\d{1,9})\s*(?=[,;]|$)/i.exec(flat);
  return match ? Math.min(Number(match[1]) * 1_000, waitMsMax) : null;
}

/** The value of `Preference-Applied` for a call that has waited. */
export function appliedWait(waitMs: number): string {
  return `wait=${waitMs / 1_000}`;
}
