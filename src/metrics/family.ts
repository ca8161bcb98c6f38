/**
 * A metric with all its labels, as Prometheus shows it. What is counted costs an addition where it happens; names and
 * labels are put to it only when somebody asks, since looking a label up would cost more than much of what is counted.
 */

export interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** Of a histogram's parts; else the family's own. */
  readonly metricName?: string;
}

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly samples: () => Sample[];
}

/** One counter for each of a few words. All are shown from the beginning, so that a rate has something to begin at. */
export class Tally<Word extends string> {
  readonly #counts: Record<Word, number>;

  constructor(private readonly words: readonly Word[]) {
    this.#counts = Object.fromEntries(words.map((word) => [word, 0])) as Record<Word, number>;
  }

  add(word: Word, times = 1): void {
    this.#counts[word] += times;
  }

  /** A sample a word, which is the value of `label`. */
  samples(label: string, more: Sample['labels'] = {}): Sample[] {
    return this.words.map((word) => ({ labels: { ...more, [label]: word }, value: this.#counts[word] }));
  }
}

/** Upper ends in seconds: from what memory takes to the longest wait of a call. */
const ENDS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const;

export class Durations {
  /** One a bucket, and one for what is longer than all. */
  readonly #counts: number[] = new Array(ENDS_SECONDS.length + 1).fill(0);
  #sum = 0;

  observe(seconds: number): void {
    let bucket = 0;
    while (bucket < ENDS_SECONDS.length && seconds > ENDS_SECONDS[bucket]!) bucket += 1;
    this.#counts[bucket]! += 1;
    this.#sum += seconds;
  }

  samples(name: string, labels: Sample['labels']): Sample[] {
    const samples: Sample[] = [];
    let count = 0;
    for (const [bucket, here] of this.#counts.entries()) {
      count += here;
      const le = ENDS_SECONDS[bucket] ?? '+Inf';
      samples.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: count });
    }
    samples.push({ metricName: `${name}_sum`, labels, value: this.#sum });
    samples.push({ metricName: `${name}_count`, labels, value: count });
    return samples;
  }
}
