/** How the events of a type stand, as JSON text. */
import type { ListenerStats, TypeStats } from '../event/command.js';
import { RATE_WINDOW_MS, type TypeRates } from '../queue/rates.js';

export function statsText({ type, paused, open, now, listeners }: TypeStats, rates: TypeRates): string {
  const sumOf = (name: 'ready' | 'delayed' | 'leased') =>
    listeners.reduce((sum, each) => sum + each[name], 0);
  const oldest = listeners.flatMap(({ oldestAt }) => oldestAt ?? []);
  return JSON.stringify({
    type,
    paused,
    open,
    waiting: sumOf('ready'),
    delayed: sumOf('delayed'),
    leased: sumOf('leased'),
    oldestWaitingMs: oldest.length === 0 ? null : ageMs(Math.min(...oldest), now),
    rates: {
      windowMs: RATE_WINDOW_MS,
      acceptedPerSecond: shown(rates.accepted),
      completedPerSecond: shown(rates.completed),
      failedPerSecond: shown(rates.failed),
    },
    listeners: listeners.map((each) => listenerMembers(each, now)),
  });
}

function listenerMembers({ name, ready, delayed, leased, oldestAt, askedAt }: ListenerStats, now: number) {
  const oldestWaitingMs = oldestAt === null ? null : ageMs(oldestAt, now);
  const asked = askedAt === null ? null : new Date(askedAt).toISOString();
  return { name, waiting: ready, delayed, leased, oldestWaitingMs, askedAt: asked };
}

/** A clock that has stepped back makes nothing younger than it is. */
function ageMs(at: number, now: number): number {
  return Math.max(0, now - at);
}

function shown(rate: number): number {
  return Number(rate.toFixed(3));
}
