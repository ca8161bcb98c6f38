/** The tables of `docs/metrics.md`, made from the metrics themselves. */
import { readFileSync, writeFileSync } from 'node:fs';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { Metrics } from '../../src/metrics/metrics.js';

const PATH = 'docs/metrics.md';

export function metricsDocument(): string {
  return readFileSync(PATH, 'utf8');
}

/** The document with its tables as they should be: each stands between two comments. */
export function withTables(document: string): string {
  const own = new Metrics().families.map(({ name, type, labels, help }) => [
    `\`${name}\``,
    type,
    labels.map((label) => `\`${label}\``).join(', '),
    help,
  ]);
  return filled(
    filled(document, 'metrics', ['metric', 'kind', 'labels', ''], own),
    'process',
    ['metric', ''],
    ofProcess(),
  );
}

function ofProcess(): string[][] {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const rows = registry.getMetricsAsArray().map(({ name, help }) => [`\`${name}\``, help]);
  registry.clear();
  return rows;
}

function filled(
  document: string,
  mark: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const table = [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
  const [begin, end] = [`<!-- ${mark} -->`, `<!-- /${mark} -->`];
  const parts = document.split(begin);
  const after = parts[1]?.split(end)[1];
  if (parts.length !== 2 || after === undefined)
    throw new Error(`${PATH} has no place for the table ${mark}`);
  return `${parts[0]}${begin}\n${table}\n${end}${after}`;
}

/** `node dist/test/support/metrics-doc.js` writes the tables anew. */
if (process.argv[1]?.endsWith('metrics-doc.js')) writeFileSync(PATH, withTables(metricsDocument()));
