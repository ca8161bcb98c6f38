/** Redrives as operators ask for them: making one, looking at them, cancelling. */
import type { RedriveState, SetRedriveResult } from '../event/command.js';
import { makeEventId, partitionOfId } from '../event/id.js';
import type { IdempotencyClaim } from '../event/record.js';
import type { RedriveWish } from '../event/redrive-job.js';
import { partitionOfType, type Store } from '../store/store.js';

export interface RedriveRequest {
  readonly type: string;
  /** Null: whoever gets such events. */
  readonly listener: string | null;
  readonly wish: Omit<RedriveWish, 'listener'>;
  readonly idempotency: IdempotencyClaim | null;
}

export interface RedrivesQuery {
  /** Null: of all types. */
  readonly type: string | null;
  /** Those that are older than this one; null: from the newest on. */
  readonly before: string | null;
  readonly limit: number;
}

export class Redrives {
  constructor(private readonly store: Pick<Store, 'partitions' | 'setRedrive' | 'readRedrives'>) {}

  create({ type, ...rest }: RedriveRequest): Promise<SetRedriveResult> {
    const id = makeEventId(Date.now(), partitionOfType(type, this.store.partitions));
    return this.store.setRedrive({ kind: 'create', id, type, ...rest });
  }

  cancel(id: string): Promise<SetRedriveResult> {
    return this.store.setRedrive({ kind: 'cancel', id });
  }

  /** Null: there is none, or it is forgotten. */
  async read(id: string): Promise<RedriveState | null> {
    const partition = partitionOfId(id);
    if (partition === null || partition >= this.store.partitions) return null;
    const jobs = await this.store.readRedrives(partition, 'all');
    return jobs.find((job) => job.id === id) ?? null;
  }

  /** The newest first. Each partition remembers so few that all of them are read. */
  async list({ type, before, limit }: RedrivesQuery): Promise<{
    readonly redrives: readonly RedriveState[];
    readonly more: boolean;
  }> {
    const { partitions } = this.store;
    const asked =
      type === null
        ? Array.from({ length: partitions }, (_, partition) => partition)
        : [partitionOfType(type, partitions)];
    const found = await Promise.all(asked.map((partition) => this.store.readRedrives(partition, 'all')));
    const wanted = found
      .flat()
      .filter((job) => (type === null || job.type === type) && (before === null || job.id < before))
      .sort((a, b) => (a.id > b.id ? -1 : 1));
    return { redrives: wanted.slice(0, limit), more: wanted.length > limit };
  }
}
