/** What Redis says when something goes wrong, and what is done about it; the table in README.md is this file in words. */

export type Failure =
  /** The script is not in the server's cache: nothing happened, send its text. */
  | 'no_script'
  /** The partition's gate is closed. */
  | 'recovering'
  /** Over `maxmemory`: nothing happened. */
  | 'out_of_memory'
  /** It may pass in a moment, and scripts can be sent twice: try again for a while. */
  | 'passing'
  /** It will not pass by itself in the time of a call. */
  | 'lasting';

const PASSING = new Set([
  'LOADING',
  'BUSY',
  'TRYAGAIN',
  'CLUSTERDOWN',
  'MASTERDOWN',
  'READONLY',
  'MOVED',
  'ASK',
]);

/** Of the client library and of the operating system: the connection is not there, or was lost on the way. */
const NOT_CONNECTED =
  /Connection is closed|Stream isn't writeable|isn't ready and enableOfflineQueue|max retries per request|Command aborted|ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|All sentinels|Too many Cluster redirections|Failed to refresh slots cache|Socket timeout/;

export function failureOf(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error);
  const code = /^[A-Z]+/.exec(message)?.[0] ?? '';
  if (code === 'NOSCRIPT') return 'no_script';
  if (code === 'RECOVERING') return 'recovering';
  if (code === 'OOM') return 'out_of_memory';
  if (PASSING.has(code) || NOT_CONNECTED.test(message)) return 'passing';
  // A call that timed out has had its time. MISCONF, NOREPLICAS, NOAUTH, NOPERM want a person.
  return 'lasting';
}
