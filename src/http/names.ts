/** Names of types and listeners: any Unicode, within a few bounds that keep them safe to write anywhere. */
import { ClockworkError } from '../errors.js';

/** Why `name` cannot name a type or a listener, or null when it can. */
export function nameFault(name: string, nameBytesMax: number): string | null {
  if (name === '') return 'is empty';
  if (name === '.' || name === '..') return `is \`${name}\`, which clients take for a step in a path`;
  if (name.length * 3 > nameBytesMax && Buffer.byteLength(name) > nameBytesMax) {
    return `has more than ${nameBytesMax} bytes`;
  }
  if (name.includes('\0')) return 'has a NUL';
  if (/\p{Surrogate}/u.test(name)) return 'has half a surrogate pair';
  return null;
}

export function checkTypeName(name: string, nameBytesMax: number): void {
  const fault = nameFault(name, nameBytesMax);
  if (fault !== null) throw new ClockworkError('invalid-type-name', `The name of the type ${fault}.`);
}
