/** Mistakes that somebody could make where the log is replayed. The contract of recovery has to find each of them. */
import type { Mistake } from './planted-mistakes.js';

export const RECOVERY_MISTAKES: readonly Mistake[] = [
  {
    name: 'what the state has is applied again',
    file: 'replay',
    from: 'if not lastView or view > lastView or (view == lastView and n > lastN) then',
    to: 'if true then',
  },
  {
    name: 'records take the time of the recovery',
    file: 'replay',
    from: 'now = at',
    to: 'now = CLOCK',
  },
  {
    name: 'what was leased stays in its queue',
    file: 'replay',
    from: 'takeFromQueues(id, state, listener, keys[1], keys[2])',
    to: '',
  },
  {
    name: 'a lease is not among those that expire',
    file: 'replay',
    from: "redis.call('ZADD', LEASED_UNTIL, expiresAt, memberOf(id, state, listener))",
    to: '',
  },
  {
    name: 'a lease call is forgotten',
    file: 'replay',
    from: 'rememberCall(keys[3], call, CLOCK)',
    to: '',
  },
  {
    name: 'what was accepted and leased at once stays in its queue',
    file: 'replay',
    from: 'if inFresh[freshName(id, listenerOf[queue])] then',
    to: 'if true then',
  },
  {
    name: 'a lease that ended at once is among those that expire',
    file: 'include/deferred',
    from: 'leasesGathered[first] = nil',
    to: '',
  },
  {
    name: 'what was changed is not written',
    file: 'replay',
    from: "callInSlices('HSET', EVENTS, states)",
    to: '',
  },
  {
    name: 'a key that was kept is forgotten',
    file: 'replay',
    from: 'addScope(id, entry[5], entry[6])',
    to: '',
  },
  {
    name: 'what a checkpoint leaves out at its end is asked for again',
    file: 'replay',
    from: "redis.call('HSET', META, 'lastView', archivedView, 'lastN', archivedN)",
    to: '',
  },
  {
    name: 'what is archived stays in the outbox',
    file: 'include/note-archived',
    from: "redis.call('XTRIM'",
    to: "redis.call('XLEN', OUTBOX) local _ = ('XTRIM'",
  },
  {
    name: 'a recovery is not asked whether it is superseded',
    file: 'include/recovering',
    from: 'return meta[1] == epoch and',
    to: 'return',
  },
  {
    name: 'a recovery goes on behind an open gate',
    file: 'include/recovering',
    from: ' and not meta[3]',
    to: '',
  },
  {
    name: 'an emptied store keeps its events',
    file: 'empty',
    from: "redis.call('UNLINK', EVENTS, ENVELOPES,",
    to: "redis.call('UNLINK', ENVELOPES,",
  },
  {
    name: 'an emptied store keeps its queues',
    file: 'empty',
    from: "redis.call('UNLINK', KEYS[index])",
    to: '',
  },
  {
    name: 'an emptied store keeps its idempotency keys',
    file: 'empty',
    from: 'FORGOTTEN, SCOPES0, SCOPES1, SCOPES2)',
    to: 'FORGOTTEN)',
  },
  {
    name: 'an emptied store does not stand as empty',
    file: 'empty',
    from: "redis.call('HDEL', META, 'logId', 'runId')",
    to: '',
  },
  {
    name: 'positions go on in the old view',
    file: 'finish-recovery',
    from: "'view', ARGV[3], 'n', 0)",
    to: "'view', 1)",
  },
  {
    name: 'the last position is lost with the old view',
    file: 'finish-recovery',
    from: 'if lastView then',
    to: 'if false then',
  },
  {
    name: 'the gate stays open during a recovery',
    file: 'begin-recovery',
    from: "redis.call('HDEL', META, 'open')",
    to: '',
  },
  {
    name: 'a rebuilt store forgets ordering keys',
    file: 'replay',
    from: 'entry[13] or nil, entry[14]',
    to: 'nil, entry[14]',
  },
];

/** Likewise where whole events are written at once. The comparison of replays has to find each of them. */
export const REPLAY_MISTAKES: readonly Mistake[] = [
  {
    name: 'whole events are not counted',
    file: 'replay',
    from: 'sequence = sequence + 1',
    to: '',
  },
  {
    name: 'whole events are not listed',
    file: 'replay',
    from: 'added[#added + 1] = id',
    to: '',
  },
  {
    name: 'results of whole events are lost',
    file: 'replay',
    from: "redis.call('HSET', RESULTS, id .. '.0.1', bodyAt(place + 3))",
    to: '',
  },
  {
    name: 'whole events are of another type',
    file: 'replay',
    from: 'cmsgpack.pack(1, ordinal, sequence)',
    to: 'cmsgpack.pack(1, 0, sequence)',
  },
  {
    name: 'that somebody leased whole events is forgotten',
    file: 'replay',
    from: 'noteLeased(ordinal, 0)',
    to: '',
  },
  {
    name: 'whole events never leave',
    file: 'replay',
    from: "redis.call('RPUSH', SETTLED, id)",
    to: '',
  },
  {
    name: 'whole events leave by the retention of all, whatever their type says',
    file: 'replay',
    from: 'if hasOwnRetention(typeOfWhole[at]) then',
    to: 'if false then',
  },
  {
    name: 'idempotency keys of whole events are forgotten',
    file: 'replay',
    from: 'addedScopes[#addedScopes + 1] = scopes[index]',
    to: '',
  },
  {
    name: 'idempotency keys of two days are kept as of one',
    file: 'replay',
    from: 'rememberScopes()\n      addedScopes = {}',
    to: '',
  },
];
