/** Wakes and health: what a store tells by itself, and about itself. */
import type { Test } from 'tap';
import type { Store, Wake } from '../../../src/store/store.js';
import type { StoreHarness } from '../store.js';
import { HOUR, SECOND, scene } from './scene.js';

const HEARD_WITHIN_MS = 5_000;

export async function wakeContract(t: Test, harness: StoreHarness): Promise<void> {
  await t.test('an accepted event wakes who waits for its type (L1)', async (t) => {
    const s = await scene(t, harness);
    const heard = new Heard(s.store);
    await s.acceptMany('mail', 3);
    await heard.until(() => heard.readyCount('mail') >= 3);
  });

  await t.test('a delayed event wakes nobody until it is promoted', async (t) => {
    const s = await scene(t, harness);
    const heard = new Heard(s.store);
    const [delayed, other] = s.typesTogether(2) as [string, string];
    await s.accept(delayed, { delayMs: SECOND });
    await s.accept(other);
    await heard.until(() => heard.readyCount(other) > 0);
    t.equal(heard.readyCount(delayed), 0);
    await s.pass(SECOND);
    await s.store.promote(s.partitionOf(delayed), 100);
    await heard.until(() => heard.readyCount(delayed) > 0);
  });

  await t.test('a type that is not paused any more wakes who waits for it', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    await s.store.setType({ kind: 'pause', type: 'mail' });
    const heard = new Heard(s.store);
    await s.store.setType({ kind: 'resume', type: 'mail' });
    await heard.until(() => heard.readyCount('mail') > 0);
  });

  await t.test('what a lease finds to be due beyond what it takes wakes others', async (t) => {
    const s = await scene(t, harness);
    for (let k = 0; k < 3; k += 1) await s.accept('mail', { delayMs: SECOND });
    await s.pass(SECOND);
    const heard = new Heard(s.store);
    await s.lease('mail');
    await heard.until(() => heard.readyCount('mail') > 0);
  });

  await t.test('what is handed back, or failed with no wait, wakes who waits for the type', async (t) => {
    const s = await scene(t, harness);
    await s.acceptMany('mail', 2);
    const [one, two] = await s.leaseAll('mail');
    const heard = new Heard(s.store);
    await s.store.handBack(one!);
    await heard.until(() => heard.readyCount('mail') > 0);
    const counted = heard.readyCount('mail');
    await s.fail(two!, { retry: { kind: 'after', afterMs: 0 } });
    await heard.until(() => heard.readyCount('mail') > counted);
  });

  await t.test('each change of an event wakes who waits for the event', async (t) => {
    const s = await scene(t, harness, { policy: { attemptsMax: 1 } });
    const ids = await s.acceptMany('mail', 4);
    let heard = new Heard(s.store);
    const hears = async (id: string, what: Promise<unknown>) => {
      await what;
      await heard.until(() => heard.changed(id));
      heard.stop();
      heard = new Heard(s.store);
    };
    const leasing = s.leaseAll('mail', { max: 3, leaseMs: SECOND });
    await hears(ids[0]!, leasing);
    const [one, two] = await leasing;
    await hears(ids[0]!, s.complete(one!));
    await hears(ids[1]!, s.fail(two!));
    await hears(ids[2]!, s.store.cancel(ids[2]!));
    await hears(ids[3]!, s.store.cancel(ids[3]!));
    await s.pass(HOUR);
    await hears(ids[2]!, s.expire());
    heard.stop();
  });

  await t.test('what is noted as archived wakes who reads the log', async (t) => {
    const s = await scene(t, harness);
    const heard = new Heard(s.store);
    await s.accept('mail');
    const partition = s.partitionOf('mail');
    t.notOk(heard.archived(partition));
    await s.store.markArchived(partition, (await s.outbox('mail')).at(-1)!.pos, 1);
    await heard.until(() => heard.archived(partition));
  });

  await t.test('who stopped listening hears nothing more', async (t) => {
    const s = await scene(t, harness);
    const stopped = new Heard(s.store);
    const heard = new Heard(s.store);
    stopped.stop();
    stopped.stop();
    await s.accept('mail');
    await heard.until(() => heard.readyCount('mail') > 0);
    t.equal(stopped.readyCount('mail'), 0);
  });

  await t.test('a store that is open is ready and says what it is and how durable', async (t) => {
    const s = await scene(t, harness);
    const health = await s.store.health();
    t.equal(health.ready, true);
    t.match(health.kind, /^(embedded|redis)$/);
    t.match(health.durable, /^(memory|everysec|fsync)$/);
    t.match(s.store.logId, /^[0-9a-f-]{36}$/);
  });
}

/** Everything heard from a store since it began to listen. */
class Heard {
  readonly #wakes: Wake[] = [];
  readonly stop: () => void;
  #onWake: () => void = () => {};

  constructor(store: Store) {
    this.stop = store.onWake((wake) => {
      this.#wakes.push(wake);
      this.#onWake();
    });
  }

  readyCount(type: string): number {
    const ready = this.#wakes.flatMap((wake) => wake.ready);
    return ready
      .filter((each) => each.type === type && each.listener === 'default')
      .reduce((sum, each) => sum + each.count, 0);
  }

  archived(partition: number): boolean {
    return this.#wakes.some((wake) => wake.archived.includes(partition));
  }

  changed(id: string): boolean {
    return this.#wakes.some((wake) => wake.changed.includes(id));
  }

  async until(isTrue: () => boolean): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no wake came')), HEARD_WITHIN_MS);
      this.#onWake = () => {
        if (!isTrue()) return;
        clearTimeout(timer);
        resolve();
      };
      this.#onWake();
    });
  }
}
