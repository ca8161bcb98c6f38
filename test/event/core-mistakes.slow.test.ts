/** Mistakes that somebody could make in the core: the machine has to find each. */
import fc from 'fast-check';
import t from 'tap';
import { type CoreMistake, importMachineWith } from '../support/edited-core.js';
import { ops } from './core-ops.js';

const RUNS_MAX = 2_000;

const MISTAKES: readonly CoreMistake[] = [
  {
    name: 'nothing is held until it is archived',
    module: 'apply/accepted',
    from: 'if (event.unarchived)',
    to: 'if (false)',
  },
  {
    name: 'what is held is released before it is archived',
    module: 'schedule',
    from: 'isBeyond(delivery.event.position, state.archived?.pos ?? null)',
    to: 'false',
  },
  {
    name: 'records are forgotten before they are archived',
    module: 'unarchived',
    from: 'notes.splice(0, first < 0 ? notes.length : first)',
    to: 'notes.splice(0, notes.length)',
  },
  { name: 'the mask forgets the result', module: 'mask', from: '{ result: null }', to: '{}' },
  {
    name: 'the mask forgets that the event was completed',
    module: 'mask',
    from: 'mask.completed || mask.started ?',
    to: 'mask.started ?',
  },
  {
    name: 'the mask forgets that a cancel was asked for',
    module: 'mask',
    from: 'view.cancelRequested && !mask.cancelRequested',
    to: 'view.cancelRequested',
  },
  {
    name: 'the mask forgets leases',
    module: 'mask',
    from: 'grant >= (mask.grantsFrom.get(listener) ?? Number.POSITIVE_INFINITY)',
    to: 'false',
  },
  { name: 'the mask forgets ends of attempts', module: 'mask', from: 'mask.ends.has(name)', to: 'false' },
  { name: 'the mask forgets late completions', module: 'mask', from: 'mask.lates.has(name)', to: 'false' },
  {
    name: 'the mask forgets what was handed back',
    module: 'mask',
    from: ' + handedBack',
    to: '',
  },
  {
    name: 'the version tells of more',
    module: 'mask',
    from: 'view.version - mask.records',
    to: 'view.version',
  },
  {
    name: 'a repeated request is answered without waiting',
    module: 'decide/accept',
    from: '? event.position : null',
    to: '? null : null',
  },
  {
    name: 'a repeated completion is answered without waiting',
    module: 'decide/complete',
    from: '...standing(event, attempt), emitted, archive }',
    to: '...standing(event, attempt), emitted, archive: null }',
  },
  {
    name: 'what an archived event brings about is not archived',
    module: 'decide/emit',
    from: ' || parent.unarchived !== null',
    to: '',
  },
  {
    name: 'a repeated completion does not wait for what it emitted',
    module: 'decide/complete',
    from: 'unarchivedEmission(state, emitted))',
    to: 'null)',
  },
  {
    name: 'a repeated completion forgets what it emitted',
    module: 'decide/complete',
    from: 'attempt.emitted ?? []',
    to: '[]',
  },
  {
    name: 'the mask forgets what was emitted',
    module: 'mask',
    from: '...silent, expiresAt',
    to: '...attempt, expiresAt',
  },
  {
    name: 'a cancel is answered without waiting',
    module: 'decide/cancel',
    from: 'archive: promisedBy(state, event, records)',
    to: 'archive: null',
  },
  {
    name: 'an extension tells of a cancel that is not archived',
    module: 'decide/extend',
    from: 'cancelRequested && !isHidden',
    to: 'cancelRequested',
  },
  {
    name: 'all of a key are eligible at once',
    module: 'apply/accepted',
    from: '!joinKey(delivery, event.key)',
    to: '(joinKey(delivery, event.key), false)',
  },
  {
    name: 'the next of a key comes when the head is retried or handed back',
    module: 'apply/delivery',
    from: 'return enqueue(state, delivery, record.at);',
    to: `{
        const next = delivery.links?.after;
        if (next) {
            next.place = 'delayed';
            state.delayed.push({ at: next.dueAt, delivery: next });
        }
        return enqueue(state, delivery, record.at);
    }`,
  },
  {
    name: 'the next of a key is forgotten when the head has ended',
    module: 'ending',
    from: 'takeTurn(state, next);',
    to: '{}',
  },
  {
    name: 'a cancel or a deadline does not end the wait of those behind',
    module: 'ending',
    from: "if (delivery.state === 'waiting')\n            end(state, delivery);",
    to: "if (delivery.state === 'waiting')\n            delivery.state = 'ended';",
  },
  {
    name: 'one that ends in the middle is taken for the head',
    module: 'keyed',
    from: 'before.links.after = after;\n        return null;',
    to: 'before.links.after = after;\n        return after;',
  },
  {
    name: 'the next of a key comes before it is archived',
    module: 'schedule',
    from: 'if (unarchived && isBeyond(position, state.archived?.pos ?? null))',
    to: 'if (false)',
  },
  {
    name: 'the key of an emitted event is forgotten',
    module: 'decide/emit',
    from: '(key === undefined ? NOTHING : { key })',
    to: 'NOTHING',
  },
  {
    name: 'an event is settled before all of its deliveries have ended',
    module: 'ending',
    from: "some((delivery) => delivery.state !== 'ended')",
    to: 'some(() => false)',
  },
  {
    name: 'the end of any delivery is the event’s',
    module: 'ending',
    from: 'if (isResponder(delivery))',
    to: 'if (true)',
  },
  {
    name: 'events that have ended still count as open',
    module: 'ending',
    from: 'event.type.open -= 1',
    to: 'event.type.open -= 0',
  },
  {
    name: 'the last of the listeners that are left is the responder',
    module: 'decide/listener',
    from: 'Math.min(...left)',
    to: 'Math.max(...left)',
  },
  {
    name: 'a listener that was deleted may be the responder',
    module: 'decide/listener',
    from: 'isLiving(listeners[ordinal]))',
    to: 'true)',
  },
  {
    name: 'a filter is not looked at',
    module: 'listeners',
    from: 'isLiving(listener) && matcher.matches(listener.filter)',
    to: 'isLiving(listener)',
  },
  {
    name: 'a listener that was deleted gets events',
    module: 'listeners',
    from: 'isLiving(listener) && matcher.matches(listener.filter)',
    to: 'matcher.matches(listener.filter)',
  },
  {
    name: 'a lease outlives the deadline',
    module: 'decide/attempt',
    from: ' || deadlineHasPassed(delivery.event, now)',
    to: '',
  },
  {
    name: 'a repeated completion hears how the event stands now',
    module: 'decide/complete',
    from: "aside === 'complete'",
    to: "event.status === 'complete'",
  },
  {
    name: 'a tree counts what has settled as live',
    module: 'tree',
    from: 'tree.live -= 1',
    to: 'tree.live -= 0',
  },
  {
    name: 'a tree counts what goes on twice',
    module: 'tree',
    from: 'tree[before.as] -= 1',
    to: 'tree[before.as] -= 0',
  },
  {
    name: 'a tree waits for what has arrived elsewhere',
    module: 'relaying',
    from: 'countRelaying(state, relay.root, -1',
    to: 'countRelaying(state, relay.root, 0',
  },
  {
    name: 'what has arrived elsewhere is relayed again',
    module: 'relaying',
    from: 'state.relays.delete(record.child)',
    to: '',
  },
];

for (const mistake of MISTAKES) {
  t.test(`a planted mistake is found: ${mistake.name}`, async (t) => {
    const Machine = await importMachineWith(mistake);
    const found = fc.check(
      fc.property(ops, (ops) => {
        const machine = new Machine();
        for (const each of ops) {
          machine.run(each);
          machine.check();
        }
      }),
      { numRuns: RUNS_MAX, seed: 1, endOnFailure: true },
    );
    t.ok(found.failed, `after ${found.numRuns} runs`);
  });
}
