/**
 * An attempt's id names its delivery and its grant, so that a completion finds both without an index. Opaque to
 * clients: `{event id}.{type ordinal}.{listener ordinal}.{grant}`.
 */

export interface AttemptRef {
  readonly id: string;
  readonly typeOrdinal: number;
  readonly listener: number;
  readonly grant: number;
}

const PATTERN =
  /^([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,3})\.([1-9]\d{0,8})$/;

export function formatAttemptId(id: string, typeOrdinal: number, listener: number, grant: number): string {
  return `${id}.${typeOrdinal}.${listener}.${grant}`;
}

/** What `attemptId` names, or null when no attempt can have that id. */
export function parseAttemptId(attemptId: string): AttemptRef | null {
  const match = PATTERN.exec(attemptId);
  if (!match) return null;
  return {
    id: match[1]!,
    typeOrdinal: Number(match[2]),
    listener: Number(match[3]),
    grant: Number(match[4]),
  };
}
