/** The table of costs in `docs/log.md`, from the formula and the figures that the page names. */
import { readFileSync, writeFileSync } from 'node:fs';
import { SEGMENT_RAW_BYTES_MAX, SEGMENT_RECORDS_MAX } from '../../src/log/segment.js';

const PATH = 'docs/log.md';
const [BEGIN, END] = ['<!-- cost -->', '<!-- /cost -->'];

const RECORDS_AN_EVENT = 3;
const BYTES_AN_EVENT = 2_383;
const DOLLARS_A_PUT = 0.005 / 1_000;
const SECONDS_A_MONTH = 30 * 86_400;
const INTERVALS_MS = [200, 1_000, 5_000, 60_000];
/** Events a second, as people say it. */
const RATES: Readonly<Record<string, number>> = {
  none: 0,
  '1 a minute': 1 / 60,
  '1 a second': 1,
  '100 a second': 100,
  '2,000 a second': 2_000,
  '10,000 a second': 10_000,
};

export const EVENTS_A_SEGMENT = Math.floor(
  Math.min(SEGMENT_RAW_BYTES_MAX / BYTES_AN_EVENT, SEGMENT_RECORDS_MAX / RECORDS_AN_EVENT),
);

export function logDocument(): string {
  return readFileSync(PATH, 'utf8');
}

export function putsASecond(eventsASecond: number, intervalMs: number): number {
  const byInterval = Math.min(RECORDS_AN_EVENT * eventsASecond, 1_000 / intervalMs);
  return Math.max(byInterval, eventsASecond / EVENTS_A_SEGMENT);
}

/** The document with its table as it should be, between two comments. */
export function withCosts(document: string): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const heads = ['events', ...INTERVALS_MS.map((ms) => `every ${ms.toLocaleString('en-US')} ms`)];
  const rows = Object.entries(RATES).map(([name, rate]) => [
    name,
    ...INTERVALS_MS.map((intervalMs) => cell(putsASecond(rate, intervalMs))),
  ]);
  const table = [line(heads), line(['---', ...INTERVALS_MS.map(() => '---:')]), ...rows.map(line)].join('\n');
  const [before, rest] = document.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`${PATH} has no place for the table`);
  return `${before}${BEGIN}\n${table}\n${END}${after}`;
}

function cell(perSecond: number): string {
  const puts = Math.round(perSecond * SECONDS_A_MONTH);
  return puts === 0 ? '0' : `${puts.toLocaleString('en-US')} · $${(puts * DOLLARS_A_PUT).toFixed(2)}`;
}

/** `node dist/test/support/cost-table.js` writes it anew. */
if (process.argv[1]?.endsWith('cost-table.js')) writeFileSync(PATH, withCosts(logDocument()));
