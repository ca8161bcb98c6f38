/** Metrics of archiving: what this process wrote to the log, what stood in its way, and how far the log lags behind. */
import type { ArchiverEvent, ArchiverState, ArchiverStatus } from '../log/archiver-status.js';
import { type Family, type Sample, Tally } from './family.js';

type Failure = Extract<ArchiverEvent, { kind: 'failed' }>['state'];

interface Counts {
  segments: number;
  records: number;
  bytes: number;
  openings: number;
  recoveries: number;
  fenced: number;
  overtaken: number;
  /** Of the store's records since the log was opened last; null before that. */
  view: number | null;
  readonly failures: Tally<Failure>;
}

const STATES: readonly ArchiverState[] = [
  'stopped',
  'standby',
  'opening',
  'running',
  'retrying',
  'refused',
  'fenced',
];

export class ArchiveMetrics {
  readonly #partitions = new Map<number, Counts>();
  #statuses: () => readonly ArchiverStatus[] = () => [];

  readonly families: readonly Family[] = [
    {
      name: 'clockwork_archive_lag_seconds',
      help: 'For how long records have been waiting for this archiver, as far as it knows; 0 when none are.',
      type: 'gauge',
      labels: ['partition'],
      samples: () => this.#eachStatus(({ lagMs }) => lagMs / 1_000),
    },
    {
      name: 'clockwork_archive_state',
      help: '1 for the state that the archiver is in, 0 for the others; of many instances one is `running`, the others `standby`.',
      type: 'gauge',
      labels: ['partition', 'state'],
      samples: () => this.#statuses().flatMap(statesOf),
    },
    {
      name: 'clockwork_archive_slot',
      help: 'The last slot of the log that this archiver knows to be written.',
      type: 'gauge',
      labels: ['partition'],
      samples: () => this.#eachStatus(({ slot }) => slot),
    },
    {
      name: 'clockwork_archive_view',
      help: 'The view of the log that this archiver writes in: it goes up whenever a store is recovered.',
      type: 'gauge',
      labels: ['partition'],
      samples: () =>
        [...this.#partitions].flatMap(([partition, { view }]) =>
          view === null ? [] : [{ labels: { partition }, value: view }],
        ),
    },
    this.#counter('segments', 'clockwork_archive_segments_total', 'Segments written.'),
    this.#counter('records', 'clockwork_archive_records_total', 'Records in the segments written.'),
    this.#counter('bytes', 'clockwork_archive_bytes_total', 'Bytes of the segments written, compressed.'),
    this.#counter(
      'openings',
      'clockwork_archive_openings_total',
      'How often the log was opened for writing.',
    ),
    this.#counter(
      'recoveries',
      'clockwork_archive_recoveries_total',
      'How often the store was brought up to the log: after its restart or failover, and when it had been emptied.',
    ),
    this.#counter(
      'fenced',
      'clockwork_archive_fenced_total',
      'How often another store was found to have gone on with the log: this one is an old copy.',
    ),
    this.#counter(
      'overtaken',
      'clockwork_archive_overtaken_total',
      "How often another archiver had taken the slot of a segment; that segment's records are put again, or are in the other's.",
    ),
    {
      name: 'clockwork_archive_failures_total',
      help: 'Steps that failed: `retrying` passes by itself, `refused` wants somebody to change something.',
      type: 'counter',
      labels: ['partition', 'state'],
      samples: () =>
        [...this.#partitions].flatMap(([partition, { failures }]) =>
          failures.samples('state', { partition }),
        ),
    },
  ];

  readonly count = (partition: number, event: ArchiverEvent): void => {
    const counts = this.#of(partition);
    switch (event.kind) {
      case 'opened':
        counts.openings += 1;
        counts.view = event.view;
        if (event.recovered) counts.recoveries += 1;
        return;
      case 'fenced':
        counts.fenced += 1;
        return;
      case 'archived':
        counts.segments += 1;
        counts.records += event.records;
        counts.bytes += event.bytes;
        return;
      case 'overtaken':
        counts.overtaken += 1;
        return;
      case 'failed':
        counts.failures.add(event.state);
        return;
    }
  };

  watch(statuses: () => readonly ArchiverStatus[]): void {
    this.#statuses = statuses;
  }

  #of(partition: number): Counts {
    const known = this.#partitions.get(partition);
    if (known) return known;
    const failures = new Tally<Failure>(['retrying', 'refused']);
    const counts: Counts = {
      segments: 0,
      records: 0,
      bytes: 0,
      openings: 0,
      recoveries: 0,
      fenced: 0,
      overtaken: 0,
      view: null,
      failures,
    };
    this.#partitions.set(partition, counts);
    return counts;
  }

  #eachStatus(read: (status: ArchiverStatus) => number | null): Sample[] {
    return this.#statuses().flatMap((status) => {
      const value = read(status);
      return value === null ? [] : [{ labels: { partition: status.partition }, value }];
    });
  }

  #counter(field: Exclude<keyof Counts, 'failures' | 'view'>, name: string, help: string): Family {
    const samples = () =>
      [...this.#partitions].map(([partition, counts]) => ({ labels: { partition }, value: counts[field] }));
    return { name, help, type: 'counter', labels: ['partition'], samples };
  }
}

function statesOf({ partition, state }: ArchiverStatus): Sample[] {
  return STATES.map((each) => ({ labels: { partition, state: each }, value: each === state ? 1 : 0 }));
}
