/** Depths: how much a store holds, as metrics show it. */
import type { Test } from 'tap';
import { DEPTHS_TYPES_MAX } from '../../../src/store/store.js';
import type { StoreHarness } from '../store.js';
import { SECOND, scene } from './scene.js';

export async function depthsContract(t: Test, harness: StoreHarness): Promise<void> {
  await t.test('a store that is empty holds nothing', async (t) => {
    const s = await scene(t, harness);
    t.same(await s.store.depths(0), { events: 0, ready: 0, delayed: 0, leased: 0, outbox: 0 });
  });

  await t.test('deliveries are counted where they are, also after a restart', async (t) => {
    const s = await scene(t, harness);
    const [one, other] = s.typesTogether(2) as [string, string];
    const partition = s.partitionOf(one);
    await s.acceptMany(one, 3);
    await s.accept(other);
    await s.accept(other, { delayMs: SECOND });
    const outbox = (await s.outbox(one)).length;
    t.same(await s.store.depths(partition), { events: 5, ready: 4, delayed: 1, leased: 0, outbox });

    const [first, second] = await s.leaseAll(one, { max: 2 });
    await s.complete(first!);
    const later = { events: 5, ready: 2, delayed: 1, leased: 1, outbox: outbox + 3 };
    t.same(await s.store.depths(partition), later);
    await s.reopen();
    t.same(await s.store.depths(partition), later);

    await s.store.handBack(second!);
    t.match(await s.store.depths(partition), { ready: 3, leased: 0 });
    const { pos } = (await s.outbox(one)).at(-1)!;
    await s.store.markArchived(partition, pos, 1);
    t.match(await s.store.depths(partition), { events: 5, outbox: 0 });
  });

  await t.test('with a great many types nobody looks at each of them', async (t) => {
    const s = await scene(t, harness);
    const types = s.typesTogether(DEPTHS_TYPES_MAX + 1);
    await s.store.accept(types.map((type) => s.command(type)));
    t.match(await s.store.depths(s.partitionOf(types[0]!)), { events: types.length, ready: null });
  });
}
