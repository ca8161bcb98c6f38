/** Types: what is declared of them, see lua/include/type-set.lua. */
import type {
  ListTypesQuery,
  ListTypesResult,
  SetTypeCommand,
  SetTypeResult,
  TypeView,
} from '../../event/command.js';
import { type DeclaredPolicy, effectivePolicy, type Policy, policyText } from '../../event/policy.js';
import type { Partition } from './partition.js';

export interface TypesOptions {
  /** Service-wide. */
  readonly policy: Policy;
  readonly typesMax: number;
}

export async function setType(
  partition: Partition,
  command: SetTypeCommand,
  { policy, typesMax }: TypesOptions,
): Promise<SetTypeResult> {
  const { type, kind } = command;
  const ifVersion = 'ifVersion' in command ? (command.ifVersion ?? '') : '';
  const text = kind === 'declare' ? policyText(command.policy) : '';
  const [answer] = await partition.change('set-type', [typesMax, type, kind, ifVersion, text]);
  const [code, version = 0, paused, declared = null, open = 0] = answer as [
    number,
    number?,
    number?,
    (Buffer | null)?,
    number?,
  ];
  switch (code) {
    case 0:
      return {
        kind: 'set',
        view: viewOf(policy, { type, version, paused: paused === 1, text: declared, open }),
      };
    case 1:
      return { kind: 'unknown' };
    case 2:
      return { kind: 'precondition_required', version };
    case 3:
      return { kind: 'precondition_failed', version };
    case 4:
      return { kind: 'too_many_types' };
    default:
      throw new Error(`set-type.lua answered ${code}`);
  }
}

export function readType(
  partition: Partition,
  type: string,
  options: TypesOptions,
): Promise<TypeView | null> {
  return partition.whileOpen('readType', async () => {
    if (partition.ordinalOf(type) === null) await partition.learnTypes();
    const ordinal = partition.ordinalOf(type);
    if (ordinal === null) return null;
    const { types } = await readTypes(partition, ordinal, 1, options);
    return types[0] ?? null;
  });
}

const CURSOR = /^(\d{1,4})\.(\d{1,15})$/;

/** Partition by partition. The cursor is the partition and the next ordinal. */
export async function listTypes(
  partitions: readonly Partition[],
  { cursor, limit }: ListTypesQuery,
  options: TypesOptions,
): Promise<ListTypesResult> {
  const place = cursor === null ? ['', '0', '0'] : CURSOR.exec(cursor);
  if (place === null || Number(place[1]) >= partitions.length) return { kind: 'bad_cursor' };
  let [at, from] = [Number(place[1]), Number(place[2])];
  const types: TypeView[] = [];
  while (at < partitions.length) {
    const found = await readTypes(partitions[at]!, from, limit - types.length, options);
    types.push(...found.types);
    from += found.types.length;
    if (from < found.count) return { kind: 'page', types, cursor: `${at}.${from}` };
    at += 1;
    from = 0;
    if (types.length === limit) break;
  }
  return { kind: 'page', types, cursor: at < partitions.length ? `${at}.0` : null };
}

const FIELDS = 5;

async function readTypes(partition: Partition, first: number, count: number, { policy }: TypesOptions) {
  const [all, ...fields] = (await partition.run('read-types', [first, count])) as [number, ...unknown[]];
  const types: TypeView[] = [];
  for (let place = 0; place < fields.length; place += FIELDS) {
    const [name, version, paused, text, open] = fields.slice(place, place + FIELDS) as [
      Buffer,
      number,
      number,
      Buffer | null,
      number,
    ];
    types.push(viewOf(policy, { type: name.toString(), version, paused: paused === 1, text, open }));
  }
  return { count: all, types };
}

interface Kept extends Pick<TypeView, 'type' | 'version' | 'paused' | 'open'> {
  readonly text: Buffer | null;
}

function viewOf(serviceWide: Policy, { text, open, ...kept }: Kept): TypeView {
  const declared = text && (JSON.parse(text.toString()) as DeclaredPolicy);
  // What was there before they were counted is not among them.
  return { ...kept, declared, policy: effectivePolicy(serviceWide, declared), open: Math.max(0, open) };
}
