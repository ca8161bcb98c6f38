/** Single posts by the size of their body, from 100 bytes to 1 MiB, 16 connections: calls and bytes a second. */
import {
  bodyOf,
  type Contestant,
  POST_PATH,
  startEmbedded,
  startFloor,
  startOnRedis,
} from './contestants.js';
import { report } from './measure/machine.js';
import { linePlot } from './measure/plot.js';
import { markdownTable } from './measure/stats.js';
import { shoot } from './measure/wrk.js';

const CONNECTIONS = 16;
const REPLY_BYTES = 420;
/** The largest leaves room for the 80 bytes that `bodyOf` has beside its filling. */
const SIZES = [100, 1_024, 10_240, 102_400, 1_048_576];

const STARTS: Readonly<Record<string, () => Promise<Contestant>>> = {
  'empty Fastify handler': () => startFloor('raw', REPLY_BYTES),
  'embedded store': () => startEmbedded(),
  Redis: () => startOnRedis(),
};

export interface BodyOptions {
  readonly seconds: number;
}

export async function benchBody({ seconds }: BodyOptions): Promise<void> {
  const series: { name: string; points: [number, number][] }[] = [];
  for (const [name, start] of Object.entries(STARTS)) {
    const points: [number, number][] = [];
    for (const bytes of SIZES) {
      const contestant = await start();
      try {
        const shot = {
          url: contestant.url + POST_PATH,
          body: bodyOf(bytes),
          connections: CONNECTIONS,
          seconds,
        };
        await shoot({ ...shot, seconds: 1 });
        const { perSecond } = await shoot(shot);
        points.push([bytes, perSecond]);
        console.error(`${name}, ${bytes} bytes: ${perSecond.toFixed(0)}/s`);
      } finally {
        await contestant.stop();
      }
    }
    series.push({ name, points });
  }
  const rows = SIZES.map((bytes, size) => [
    String(bytes),
    ...series.map(({ points }) => {
      const [, perSecond] = points[size]!;
      return `${perSecond.toFixed(0)}, ${((perSecond * bytes) / 2 ** 20).toFixed(1)} MiB`;
    }),
  ]);
  const command = `npm run bench -- body --seconds ${seconds}`;
  const table = markdownTable(['bytes', ...Object.keys(STARTS).map((name) => `${name}, a second`)], rows);
  const megabytes = series.map(({ name, points }) => ({
    name,
    points: points.map(([bytes, perSecond]) => [bytes, (perSecond * bytes) / 2 ** 20] as const),
  }));
  report(
    'body',
    `${command}\n\n${table}`,
    { command, series },
    {
      'body-posts': linePlot('Posts by body size', 'bytes of the body', 'a second', series),
      'body-bytes': linePlot('Posts by body size', 'bytes of the body', 'MiB a second', megabytes),
    },
  );
}
