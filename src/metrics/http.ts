/** Metrics of HTTP: requests by route, method and class of status, and how long they took. */
import type { HttpMeter, RouteMeter } from '../http/measure.js';
import { Durations, type Family, type Sample } from './family.js';

interface Route {
  readonly route: string;
  readonly method: string;
  /** By the first digit of the status. */
  readonly byClass: number[];
  readonly durations: Durations;
}

const DURATION = 'clockwork_http_request_duration_seconds';

export class HttpMetrics implements HttpMeter {
  readonly #routes: Route[] = [];

  readonly families: readonly Family[] = [
    {
      name: 'clockwork_http_requests_total',
      help: 'Requests answered; `route` is as in the contract, or `unmatched`; `status` is `2xx`, `4xx`, …',
      type: 'counter',
      labels: ['route', 'method', 'status'],
      samples: () => this.#routes.flatMap(requestsOf),
    },
    {
      name: DURATION,
      help: 'Time from the headers of a request to the end of its answer, waiting (`Prefer: wait`, `waitMs`) included.',
      type: 'histogram',
      labels: ['route', 'method'],
      samples: () =>
        this.#routes
          .filter(({ byClass }) => byClass.some((count) => count > 0))
          .flatMap(({ route, method, durations }) => durations.samples(DURATION, { route, method })),
    },
  ];

  route(method: string, route: string): RouteMeter {
    const byClass: number[] = new Array(10).fill(0);
    const durations = new Durations();
    this.#routes.push({ route, method, byClass, durations });
    return (status, ms) => {
      byClass[Math.trunc(status / 100)]! += 1;
      durations.observe(ms / 1_000);
    };
  }
}

/** What never happened is left out: most routes have few of the statuses. */
function requestsOf({ route, method, byClass }: Route): Sample[] {
  return byClass.flatMap((value, digit) =>
    value === 0 ? [] : [{ labels: { route, method, status: `${digit}xx` }, value }],
  );
}
