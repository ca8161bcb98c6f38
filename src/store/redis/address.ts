/** The four kinds of URL that name a Redis. */

export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

export interface RedisAddress {
  readonly kind: 'single' | 'sentinel' | 'cluster';
  readonly tls: boolean;
  /** Of the server, of the sentinels, or of some of the cluster's nodes. */
  readonly hosts: readonly HostAndPort[];
  readonly username: string | null;
  readonly password: string | null;
  /** With sentinels: the name of the master. */
  readonly master: string | null;
  readonly db: number;
}

const URL_PARTS =
  /^(redis|rediss|redis\+sentinel|redis\+cluster):\/\/(?:([^:@/]*)(?::([^@/]*))?@)?([^/?#@]+)(?:\/([^?#]*))?$/;
const KINDS = {
  redis: 'single',
  rediss: 'single',
  'redis+sentinel': 'sentinel',
  'redis+cluster': 'cluster',
} as const;

/**
 * `redis://[user[:password]@]host[:port][/db]`, the same with `rediss`; `redis+sentinel://…host:port,host:port/master[/db]`;
 * `redis+cluster://…host:port,host:port`. Throws what is wrong with another, without the password.
 */
export function parseAddress(url: string): RedisAddress {
  const parts = URL_PARTS.exec(url);
  if (!parts) throw new Error('not a redis://, rediss://, redis+sentinel:// or redis+cluster:// URL');
  const [, scheme, username, password, hosts, path = ''] = parts;
  const kind = KINDS[scheme as keyof typeof KINDS];
  const names = path.split('/').filter((name) => name !== '');
  const master = kind === 'sentinel' ? (names.shift() ?? null) : null;
  if (kind === 'sentinel' && master === null)
    throw new Error('a sentinel URL ends with the name of the master');
  const db = names.length > 0 ? Number(names[0]) : 0;
  if (!Number.isInteger(db) || db < 0 || names.length > 1)
    throw new Error(`not a database: ${names.join('/')}`);
  if (kind === 'cluster' && db !== 0) throw new Error('a cluster has one database, 0');
  return {
    kind,
    tls: scheme === 'rediss',
    hosts: hosts!.split(',').map((host) => parseHost(host, kind === 'sentinel' ? 26_379 : 6_379)),
    username: username ? decodeURIComponent(username) : null,
    password: password ? decodeURIComponent(password) : null,
    master,
    db,
  };
}

function parseHost(text: string, fallbackPort: number): HostAndPort {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/.exec(text);
  if (!match) throw new Error(`not a host and port: ${text}`);
  return { host: match[1]!.replace(/^\[|\]$/g, ''), port: match[2] ? Number(match[2]) : fallbackPort };
}

/** For people and logs, without credentials. */
export function describeAddress({ kind, tls, hosts, master }: RedisAddress): string {
  const scheme = kind === 'single' ? (tls ? 'rediss' : 'redis') : `redis+${kind}`;
  const list = hosts.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`).join(',');
  return `${scheme}://${list}${master === null ? '' : `/${master}`}`;
}
