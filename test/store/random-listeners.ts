/** Steps of random work that are about listeners: declaring and deleting them, and what their filters look at. */
import fc from 'fast-check';
import type { Filter } from '../../src/event/filter.js';
import type { Store } from '../../src/store/store.js';
import type { CoreModel } from '../support/core-model.js';

const filter = fc.constantFrom<Filter | null>(null, null, { method: ['PUT'] }, { method: ['POST'] });

export const leaseListener = fc.constantFrom('default', 'default', 'default', 'audit', 'copy');

export const listenerStep = fc.record({
  do: fc.constant('listener' as const),
  what: fc.constantFrom('set', 'set', 'set', 'delete', 'sweep'),
  type: fc.nat({ max: 3 }),
  name: fc.constantFrom('default', 'audit', 'copy'),
  responder: fc.boolean(),
  filter,
});

type ListenerStep = typeof listenerStep extends fc.Arbitrary<infer S> ? S : never;

/** A packed envelope of `20 + size` bytes, of which about every third matches each of the filters above. */
export function envelopeOf(size: number, made: number): Buffer {
  const method = ['PUT', 'POST', 'GET'][made % 3]!;
  const head = `{"method":"${method}"}\n`;
  return Buffer.from(head.padEnd(20 + size, String.fromCharCode(97 + (made % 26))));
}

/** Resolves to what the store and the core have answered. */
export async function doListenerStep(
  store: Store,
  core: CoreModel,
  type: string,
  { what, name, responder, filter }: ListenerStep,
): Promise<[unknown, unknown]> {
  if (what === 'set') {
    const command = { type, listener: { name, responder, filter } };
    return [await store.setListener(command), core.setListener(command)];
  }
  if (what === 'delete') return [await store.deleteListener(type, name), core.deleteListener(type, name)];
  const before = [await store.listListeners(type), core.listListeners(type)] as const;
  const swept: [unknown[], unknown[]] = [[before[0]], [before[1]]];
  for (let more = true; more; ) {
    const [a, b] = [await store.sweep(0, 1_000), core.sweep(1_000)];
    swept[0].push(a);
    swept[1].push(b);
    more = b.more;
  }
  return swept;
}
