/**
 * Clients that wait for the archive, in a simulation. They are led from server to server, as instances of the service
 * are, and what they are told, by the rule that the queue has, must be in the log for good.
 */
import assert from 'node:assert/strict';
import { comparePositions, formatPosition, type Position } from '../../src/event/record.js';
import { NOT_ARCHIVED } from '../../src/event/unarchived.js';
import { shownView } from '../../src/event/view.js';
import { judge } from '../../src/queue/archive-waiting.js';
import type { SimServer } from './sim-server.js';

export class Receipts {
  /** Positions of the acceptances for which a receipt was given. */
  readonly given = new Set<string>();
  /** By server: what it showed when it was last asked, so that nobody asks again for the same. */
  readonly #seen = new WeakMap<SimServer, string>();
  #made = 0;
  #awaited: { readonly id: string; readonly position: Position }[] = [];

  await(id: string, position: Position): void {
    this.#awaited.push({ id, position });
    this.#made += 1;
  }

  /** Everybody asks this server. `inLog` has the positions of all records of the log. */
  look(server: SimServer, inLog: ReadonlySet<string>): void {
    const { state, open } = server;
    const seen = `${open} ${state.view} ${state.archived && formatPosition(state.archived.pos)} ${this.#made}`;
    if (this.#seen.get(server) === seen) return;
    this.#seen.set(server, seen);
    for (const event of open ? state.events.values() : []) {
      if (event.unarchived === null || shownView(state, event) === NOT_ARCHIVED) continue;
      const position = formatPosition(event.position);
      assert.ok(inLog.has(position), `SHOWN ${position}, and it is not in the log`);
    }
    const { archived } = state;
    if (archived === null) return;
    this.#awaited = this.#awaited.filter(({ id, position }) => {
      const told = judge(position, archived.pos);
      if (told === null || (told === 'recovered' && !isShown(server, id, position))) return true;
      const text = formatPosition(position);
      assert.ok(inLog.has(text), `RECEIPT for ${text}, and it is not in the log`);
      this.given.add(text);
      return false;
    });
  }
}

function isShown({ state, open }: SimServer, id: string, position: Position): boolean {
  const event = open ? state.events.get(id) : undefined;
  if (!event) return false;
  const view = shownView(state, event);
  return view !== NOT_ARCHIVED && comparePositions(view.position, position) === 0;
}
