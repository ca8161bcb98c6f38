/** Mistakes that somebody could make in the scripts. The comparison with the core has to find each of them. */
import type fc from 'fast-check';
import type { Edit } from '../../src/store/redis/scripts.js';

import { RETENTION_STEPS } from './random-retentions.js';
import type { Step } from './random-steps.js';

export interface Mistake {
  readonly name: string;
  /** As the loader names it. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** Of the sequences that show it soon, where the first ones take long. */
  readonly seed?: number;
  /** What has to be done for it to show itself; anything, unless said. */
  readonly steps?: fc.Arbitrary<Step[]>;
}

export const MISTAKES: readonly Mistake[] = [
  {
    name: 'the token is not checked',
    file: 'include/attempt',
    from: 'attempt[END] == LIVE and attempt[TOKEN] == token and',
    to: 'attempt[END] == LIVE and',
  },
  {
    name: 'an ended attempt still holds its lease',
    file: 'include/attempt',
    from: 'return attempt[END] == LIVE and attempt[TOKEN]',
    to: 'return attempt[TOKEN]',
  },
  {
    name: 'an expired lease is not counted as an attempt',
    file: 'include/attempt',
    from: 'local attempt = delivery[#delivery]',
    to: 'local attempt = delivery[#delivery] delivery[ATTEMPT] = delivery[ATTEMPT] - 1',
  },
  {
    name: 'a lease handed back is counted',
    file: 'include/apply',
    from: 'delivery[ATTEMPT] = delivery[ATTEMPT] - 1',
    to: '',
  },
  {
    name: 'a clock that stepped back keeps leases alive',
    file: 'include/attempt',
    from: ' or delivery[EXPIRES_AT] - now > LEASE_MS_MAX',
    to: '',
  },
  {
    name: 'the backoff has no jitter',
    file: 'include/attempt',
    from: '(1 - policy.backoffJitter * chance)',
    to: '1',
  },
  {
    name: 'there is no backoff',
    file: 'include/attempt',
    from: 'dueAt = now + backoffMs(id, state, listener, delivery)',
    to: 'dueAt = now',
  },
  {
    name: 'one attempt too many',
    file: 'include/attempt',
    from: 'delivery[ATTEMPT] >= policyOf(state[TYPE]).attemptsMax',
    to: 'delivery[ATTEMPT] > policyOf(state[TYPE]).attemptsMax',
  },
  {
    name: 'what comes back is not put into the order of the log',
    file: 'include/apply',
    from: "redis.call('ZADD', queue, state[SEQUENCE], id)",
    to: "redis.call('ZADD', queue, now, id)",
    seed: 3,
  },
  {
    name: 'an expired lease of an event to be cancelled is retried',
    file: 'include/attempt',
    from: 'local dueAt = now\n  local cancelling = state[CANCEL_REQUESTED] == 1',
    to: 'local dueAt = now\n  local cancelling = false',
  },
  {
    name: 'a repeated completion is a second one',
    file: 'complete',
    from: 'if attempt[FINGERPRINT] then',
    to: 'if false then',
  },
  {
    name: 'another completion of an attempt is taken for the same',
    file: 'complete',
    from: 'if attempt[FINGERPRINT] ~= item.fingerprint then',
    to: 'if false then',
  },
  {
    name: 'a lost lease emits all the same',
    file: 'complete',
    from: 'return keepLate(item, state, delivery, attempt)\n  end\n\n',
    to: 'acceptEmitted(item.id, state, item.emit) return keepLate(item, state, delivery, attempt)\n  end\n\n',
  },
  {
    name: 'a failure that is tried again emits',
    file: 'complete',
    from: '    retry(item, state, delivery, attempt)\n',
    to: '    retry(item, state, delivery, attempt) acceptEmitted(item.id, state, item.emit)\n',
  },
  {
    name: 'every parent is a root',
    file: 'include/emitted',
    from: 'local root = rootOf(state) or id',
    to: 'local root = id',
  },
  {
    name: 'what an archived event brings about is not archived',
    file: 'include/emitted',
    from: 'child.archive or (state[UNARCHIVED] and true or false)',
    to: 'child.archive',
  },
  {
    name: 'a repeated completion does not wait for what it emitted',
    file: 'complete',
    from: 'return attempt[EMITTED] and promiseEmitted(answer, unarchivedEmission(attempt[EMITTED])) or answer',
    to: 'return answer',
  },
  {
    name: 'a late result is not kept',
    file: 'complete',
    from: 'local own = attempt',
    to: 'local own = false and attempt',
  },
  {
    name: 'a late completion leaves an expired lease as it is',
    file: 'complete',
    from: 'local overdue = attempt[END] == LIVE and',
    to: 'local overdue = false and',
  },
  {
    name: 'items of one call do not see each other by id',
    file: 'accept',
    from: 'createdAt[id] = now',
    to: '',
  },
  {
    name: 'items of one call do not see each other by idempotency key',
    file: 'accept',
    from: 'firsts[more.scope] = { id = id,',
    to: 'local unseen = { id = id,',
  },
  { name: 'an idempotency key lives for ever', file: 'accept', from: 'if alive and', to: 'if' },
  {
    name: 'an idempotency key is forgotten on the next day',
    file: 'accept',
    from: 'math.floor(first.createdAt / DAY_MS) + 2',
    to: 'math.floor(first.createdAt / DAY_MS) + 1',
  },
  {
    name: 'the limit of types is not looked at',
    file: 'accept',
    from: 'if typeCount >= TYPES_MAX and not more.tree then',
    to: 'if false then',
  },
  {
    name: 'a repeated lease call gets other leases',
    file: 'lease',
    from: 'for first = 3, known and #known or 0, 4 do',
    to: 'for first = 3, 0, 4 do',
  },
  {
    name: 'a repeated lease call does not take its leases over',
    file: 'lease',
    from: 'known[1] = known[1] + 1',
    to: '',
  },
  {
    name: 'the newest is leased first',
    file: 'lease',
    from: 'queue.state[SEQUENCE] < oldest.state[SEQUENCE]',
    to: 'queue.state[SEQUENCE] > oldest.state[SEQUENCE]',
  },
  {
    name: 'what is due is not promoted before a lease',
    file: 'lease',
    from: 'if due and tonumber(due)',
    to: 'if false and tonumber(due)',
  },
  {
    name: 'a reply is not bounded in bytes',
    file: 'lease',
    from: 'if #taken > 0 and bytes > BYTES_MAX then',
    to: 'if false then',
  },
  {
    name: 'a cancelled event is leased',
    file: 'lease',
    from: 'if delivery and delivery[STATE] == WAITING then',
    to: 'if delivery and delivery[STATE] ~= LEASED then',
  },
  {
    name: 'a cancel takes the event from who holds it',
    file: 'cancel',
    from: 'held[#held + 1] = place',
    to: 'overdue[place] = delivery',
  },
  {
    name: 'an extension does not reach the index of leases',
    file: 'extend',
    from: "redis.call('ZADD', LEASED_UNTIL",
    to: "redis.call('ZADD', LEASED_UNTIL, 'NX'",
    seed: 3,
  },
  {
    name: 'leases from before a step back of the clock are not looked for',
    file: 'expire-peek',
    from: "find('(' .. (now + tonumber(ARGV[1])), '+inf')",
    to: '',
  },
  {
    name: 'abandoning does not ask whether the call was repeated',
    file: 'abandon',
    from: ' or known[1] ~= tonumber(ARGV[8])',
    to: '',
  },
  {
    name: 'an event is leased before it is archived',
    file: 'include/accepted',
    from: 'if held then',
    to: 'if false then',
  },
  {
    name: 'what is held is released before it is archived',
    file: 'promote-peek',
    from: 'if state and isUnarchived(state[VIEW], state[N]) then\n    break',
    to: 'if false then\n    break',
    seed: 2,
  },
  {
    name: 'archiving does not release what is held',
    file: 'mark-archived',
    from: "held = redis.call('EXISTS', HELD)",
    to: '',
  },
  {
    name: 'what was held does not wait on for its time',
    file: 'promote',
    from: 'if delivery[EXPIRES_AT] > now then',
    to: 'if false then',
  },
  {
    name: 'that a lease was given is not noted as unarchived',
    file: 'include/granted',
    from: "noteUnarchived(state, 'G', grant, listener)",
    to: '',
  },
  {
    name: 'that an attempt ended is not noted as unarchived',
    file: 'include/apply',
    from: 'noteUnarchived(state, op, attempt[GRANT], listener, mark)',
    to: '',
  },
  {
    name: 'that a cancel was asked for is not noted as unarchived',
    file: 'include/apply',
    from: "noteUnarchived(state, 'Q', 0)",
    to: '',
  },
  {
    name: 'that an event was cancelled is not noted as unarchived',
    file: 'include/apply',
    from: "noteUnarchived(state, reason == BY_CANCEL and 'X' or 'E', 0)",
    to: '',
  },
  {
    name: 'a late completion is not noted as unarchived',
    file: 'include/apply',
    from: "noteUnarchived(state, 'L', grant, listener)",
    to: '',
  },
  {
    name: 'notes are let go before their records are archived',
    file: 'include/unarchived',
    from: 'if #notes > 0 or isUnarchived(positionIn(note)) then',
    to: 'if false then',
  },
  {
    name: 'a completion is answered without waiting for the archive',
    file: 'include/unarchived',
    from: 'if isUnarchived(someView, someN) then\n    answer',
    to: 'if false then\n    answer',
  },
  {
    name: 'a repeated completion is answered without waiting for the archive',
    file: 'complete',
    from: 'local answer = promise(standing(attempt, state), state)',
    to: 'local answer = standing(attempt, state)',
  },
  {
    name: 'a repeated request is answered without waiting for the archive',
    file: 'accept',
    from: 'promised[first.id] = packed and',
    to: 'promised[first.id] = false and',
  },
  {
    name: 'what is archived by now is waited for',
    file: 'accept',
    from: 'if position and answer[1] <= 1 and isUnarchived(position.view, position.n) then',
    to: 'if position and answer[1] <= 1 then',
  },
  {
    name: 'the record does not say that the event waits for the archive',
    file: 'accept',
    from: 'dueAt, scope, print, 1)',
    to: 'dueAt, scope, print)',
  },
  {
    name: 'the archived position goes back',
    file: 'include/note-archived',
    from: 'if notedView and',
    to: 'if false and',
  },
  {
    name: 'a paused type is leased',
    file: 'lease',
    from: '.paused and -1 or 1 do',
    to: '.paused and 1 or 1 do',
  },
  {
    name: 'what is declared of a type does not hold for it',
    file: 'include/policy',
    from: 'if not declared then',
    to: 'if true then',
  },
  {
    name: 'a lease outlives the deadline',
    file: 'include/attempt',
    from: 'return leaseExpired(delivery) or deadlineHasPassed(state)',
    to: 'return leaseExpired(delivery)',
  },
  {
    name: 'events that have ended still count as open',
    file: 'include/apply',
    from: 'tally(state[TYPE], -1)',
    to: '',
  },
  {
    name: 'what was cancelled while it waited is still counted',
    file: 'include/apply',
    from: "wasDelayed and 'D' or 'X', wasDelayed and -1 or 1",
    to: "'D', wasDelayed and -1 or 0",
  },
  {
    name: 'leases that have ended are still counted',
    file: 'include/apply',
    from: "tallyOf(state, listener, 'L', -1)",
    to: '',
  },
  {
    name: 'a type has no retention of its own',
    file: 'include/settled',
    from: 'if hasOwnRetention(ordinal) then',
    to: 'if false then',
    steps: RETENTION_STEPS,
  },
  {
    name: 'what is declared of a retention only sets events apart',
    file: 'settled',
    from: 'rules and cjson.decode(rules).retentionMs or RETENTION_MS',
    to: 'RETENTION_MS',
    steps: RETENTION_STEPS,
  },
  {
    name: 'a version is not asked for',
    file: 'set-type',
    from: "if IF_VERSION == '' and version > 0 then",
    to: 'if false then',
  },
  {
    name: 'all of an ordering key are eligible at once',
    file: 'include/accepted',
    from: 'if key and not joinKey(ordinal, listener, key, sequence, id) then',
    to: 'if key and not joinKey(ordinal, listener, key, sequence, id) and false then',
  },
  {
    name: 'the next of an ordering key comes when the head is retried or handed back',
    file: 'include/apply',
    from: '  delivery[STATE] = WAITING\n',
    to: '  delivery[STATE] = WAITING if state[KEY] then leaveKey(id, state, listener) end\n',
  },
  {
    name: 'the next of an ordering key is forgotten when the head has ended',
    file: 'include/apply',
    from: "redis.call('ZADD', DELAYED, 0, memberOf(next, other, listener))",
    to: '',
  },
  {
    name: 'a cancel or a deadline does not end the wait of those behind',
    file: 'include/apply',
    from: 'endWait(id, state, listener, setEnded(id, state, listener, delivery))\n    end',
    to: 'delivery[STATE] = ENDED endWait(id, state, listener)\n    end',
  },
  {
    name: 'one that ends in the middle is taken for the head of its ordering key',
    file: 'include/apply',
    from: 'if oldest[1] ~= own or not oldest[2] then',
    to: 'if not oldest[2] then',
  },
  {
    name: 'the next of an ordering key comes before it is archived',
    file: 'include/apply',
    from: 'if other[UNARCHIVED] and isUnarchived(other[VIEW], other[N]) then',
    to: 'if false then',
  },
  {
    name: 'what is emitted does not know its ordering key',
    file: 'complete',
    from: "key = ARGV[first + 8] ~= '' and ARGV[first + 8] or nil",
    to: 'key = nil',
  },
];

/** Puts the mistake into its file; throws when the file no longer says what the mistake replaces. */
export function plant({ name, file, from, to }: Mistake): Edit {
  return (loaded, text) => {
    if (loaded !== file) return text;
    if (!text.includes(from)) throw new Error(`${file}.lua has changed: there is no place for "${name}"`);
    return text.replace(from, () => to);
  };
}
