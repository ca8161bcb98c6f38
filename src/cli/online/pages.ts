/** Lists that come in pages: one after the other, as they are needed. */
import { jsonOf, type Transport } from '../../sdk/transport.js';

/** `member` is where the page has its items. */
export async function* eachOfPages<Item>(
  transport: Transport,
  path: string,
  member: string,
): AsyncGenerator<Item, void, undefined> {
  const query = new URLSearchParams();
  for (;;) {
    const reply = await transport.call('GET', `${path}?${query}`);
    const page = jsonOf<Record<string, unknown>>(reply);
    yield* page[member] as readonly Item[];
    if (typeof page['cursor'] !== 'string') return;
    query.set('cursor', page['cursor']);
  }
}
