/** Metrics of archiving: what this process wrote to the log, what stood in its way, and how far the log lags behind. */
import type { ArchiverEvent, ArchiverState, ArchiverStatus } from '../log/archiver-status.js';
import { type Family, type Sample, Tally } from './family.js';

type Failure = Extract<ArchiverEvent, { kind: 'failed' }>['state'];

interface Counts {
  segments: number;
  records: number;
  bytes: number;
  openings: number;
  overtaken: number;
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
    this.#counter('segments', 'clockwork_archive_segments_total', 'Segments written.'),
    this.#counter('records', 'clockwork_archive_records_total', 'Records in the segments written.'),
    this.#counter('bytes', 'clockwork_archive_bytes_total', 'Bytes of the segments written, compressed.'),
    this.#counter(
      'openings',
      'clockwork_archive_openings_total',
      'How often the log was opened for writing.',
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
    const counts = { segments: 0, records: 0, bytes: 0, openings: 0, overtaken: 0, failures };
    this.#partitions.set(partition, counts);
    return counts;
  }

  #eachStatus(read: (status: ArchiverStatus) => number | null): Sample[] {
    return this.#statuses().flatMap((status) => {
      const value = read(status);
      return value === null ? [] : [{ labels: { partition: status.partition }, value }];
    });
  }

  #counter(field: Exclude<keyof Counts, 'failures'>, name: string, help: string): Family {
    const samples = () =>
      [...this.#partitions].map(([partition, counts]) => ({ labels: { partition }, value: counts[field] }));
    return { name, help, type: 'counter', labels: ['partition'], samples };
  }
}

function statesOf({ partition, state }: ArchiverStatus): Sample[] {
  return STATES.map((each) => ({ labels: { partition, state: each }, value: each === state ? 1 : 0 }));
}
