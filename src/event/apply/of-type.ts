/** What records say of a type: its policy, and the listeners that it has. */
import { effectivePolicy } from '../policy.js';
import type { ListenerSet, OfType, TypeSet } from '../record.js';
import { applyRedriveSet } from '../redrive.js';
import { newType, type PartitionState } from '../state.js';
import { typeOf } from './find.js';

export function applyOfType(state: PartitionState, record: OfType): void {
  switch (record.op) {
    case 'typeSet':
      return applyTypeSet(state, record);
    case 'listenerSet':
      return applyListenerSet(state, record);
    case 'listenerGone':
    case 'listenerSwept': {
      const { listeners } = typeOf(state, record.type);
      const isGone = record.op === 'listenerGone';
      listeners[record.ordinal] = {
        ...listeners[record.ordinal]!,
        state: isGone ? 'leaving' : 'gone',
      };
      state.leaving += isGone ? 1 : -1;
      return;
    }
    case 'redriveSet':
      return applyRedriveSet(state, record);
  }
}

function applyTypeSet(state: PartitionState, record: TypeSet): void {
  const { version, policy: declared = null, paused = false } = record;
  const known = state.types.get(record.type);
  const rules = { version, declared, policy: effectivePolicy(state.policy, declared), paused };
  if (known) {
    Object.assign(known, rules);
    return;
  }
  const { type: name, ordinal } = record;
  const type = newType({ name, ordinal, ...rules });
  state.types.set(record.type, type);
  state.typesByOrdinal[record.ordinal] = type;
}

function applyListenerSet(state: PartitionState, record: ListenerSet): void {
  const type = typeOf(state, record.type);
  const { ordinal, name, responder, filter } = record;
  if (ordinal === type.listeners.length) type.leased = false;
  type.listeners[ordinal] = { name, responder, filter, state: 'living' };
}
