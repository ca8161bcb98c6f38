/** Paths of the service. */

/** `rest` begins with a slash, or is empty. */
export function eventPath(id: string, rest = ''): string {
  return `/v1/events/${encodeURIComponent(id)}${rest}`;
}

export function attemptPath(attemptId: string, rest = ''): string {
  return `/v1/attempts/${encodeURIComponent(attemptId)}${rest}`;
}

export function typePath(type: string, rest = ''): string {
  return `/v1/types/${encodeURIComponent(type)}${rest}`;
}
