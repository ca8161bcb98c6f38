/** Metrics of the queue: what this process did for its callers, and the leases that it ended for nobody. */
import type { Count, QueueResults } from '../queue/meter.js';
import { type Family, Tally } from './family.js';

type Tallies = { readonly [Operation in keyof QueueResults]: Tally<QueueResults[Operation]> };

export class QueueMetrics {
  readonly #tallies: Tallies = {
    submit: new Tally([
      'accepted',
      'duplicate',
      'conflict',
      'too_many_types',
      'too_many_pending',
      'full',
      'behind',
      'not_archived',
      'archive_unavailable',
    ]),
    lease: new Tally(['leased']),
    extend: new Tally(['extended', 'lease_lost', 'unknown']),
    complete: new Tally([
      'success',
      'fail',
      'dead',
      'retried',
      'lease_lost',
      'conflict',
      'unknown',
      'too_many_types',
      'not_archived',
      'archive_unavailable',
    ]),
    handBack: new Tally(['handed_back', 'abandoned', 'lease_lost', 'unknown']),
    cancel: new Tally(['cancelled', 'requested', 'complete', 'unknown', 'not_archived']),
  };
  #expired = 0;
  #redriven = 0;
  #waiting: () => number = () => 0;

  readonly families: readonly Family[] = [
    this.#family('submit', 'clockwork_submissions_total', 'Events submitted, by what became of them.'),
    {
      name: 'clockwork_leases_granted_total',
      help: 'Leases given; those given again to a repeat of the same call count again.',
      type: 'counter',
      labels: [],
      samples: () => this.#tallies.lease.samples('result').map(({ value }) => ({ labels: {}, value })),
    },
    this.#family('extend', 'clockwork_lease_extensions_total', 'Extensions of leases, by how they ended.'),
    this.#family(
      'handBack',
      'clockwork_hand_backs_total',
      'Leases handed back, by how that ended; `abandoned`: for a caller that had hung up.',
    ),
    {
      name: 'clockwork_leases_expired_total',
      help: 'Leases whose time was up, ended by this process.',
      type: 'counter',
      labels: [],
      samples: () => [{ labels: {}, value: this.#expired }],
    },
    {
      name: 'clockwork_redriven_total',
      help: 'Events that redrives have sent again, by this process.',
      type: 'counter',
      labels: [],
      samples: () => [{ labels: {}, value: this.#redriven }],
    },
    this.#family(
      'complete',
      'clockwork_completions_total',
      'Completions, by how the attempt ended or why the completion was refused; `dead`: the attempts ran out.',
    ),
    this.#family('cancel', 'clockwork_cancellations_total', 'Cancellations, by how they ended.'),
    {
      name: 'clockwork_waiting_calls',
      help: 'Calls that wait for an event, for a lease or for the archive.',
      type: 'gauge',
      labels: [],
      samples: () => [{ labels: {}, value: this.#waiting() }],
    },
  ];

  readonly count: Count = (operation, result, times) => this.#tallies[operation].add(result as never, times);

  readonly countExpired = (leases: number): void => {
    this.#expired += leases;
  };

  readonly countRedriven = (events: number): void => {
    this.#redriven += events;
  };

  /** Where to see how many calls wait. */
  watchWaiting(waiting: () => number): void {
    this.#waiting = waiting;
  }

  #family(operation: keyof QueueResults, name: string, help: string): Family {
    const samples = () => this.#tallies[operation].samples('result');
    return { name, help, type: 'counter', labels: ['result'], samples };
  }
}
