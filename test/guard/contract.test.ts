/** The contract and the tables of the docs say what the code does, no more and no less. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { parse } from 'yaml';
import { contractTypes } from '../support/contract-types.js';
import { contractYaml, unusedApp } from '../support/contract-yaml.js';
import { errorRows, limitRows, rowsOf, settingRows } from '../support/doc-tables.js';

/** Methods that OpenAPI 3.1 can name. */
const NAMEABLE = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'];

interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly responses: Readonly<Record<string, unknown>>;
}

type Paths = Readonly<Record<string, Readonly<Record<string, Operation>>>>;

t.test('openapi.yaml is what the routes say', async (t) => {
  const file = readFileSync('openapi.yaml', 'utf8');
  t.ok(file === (await contractYaml()), 'npm run openapi writes it anew');
});

t.test("the SDK's types of replies are what the contract says", async (t) => {
  const file = readFileSync('src/sdk/wire.ts', 'utf8');
  t.ok(file === contractTypes(readFileSync('openapi.yaml', 'utf8')), 'npm run openapi writes them anew');
});

t.test('every route is in openapi.yaml, and nothing else is', async (t) => {
  const app = await unusedApp();
  t.teardown(() => app.close());
  const { paths } = parse(readFileSync('openapi.yaml', 'utf8')) as { paths: Paths };
  const documented = Object.entries(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  t.same(documented.sort(), routesOf(app.printRoutes({ commonPrefix: false })).sort());
});

/** Reads the framework's own tree of routes: the pages at /docs and the HEAD that each GET has are left out. */
function routesOf(tree: string): string[] {
  const routes: string[] = [];
  const parents: string[] = [];
  for (const line of tree.split('\n')) {
    const match = /^([ │├└─]*?)(?:── )?([^ ]*) ?(?:\(([A-Z, -]+)\))?$/.exec(
      line.replace(/^([│ ]*)[├└]/, '$1'),
    );
    if (!match || line === '') continue;
    const depth = Math.round(line.search(/[^ │├└─]/) / 4);
    parents.length = depth;
    parents[depth] = match[2]!;
    const path = parents.join('');
    if (match[3] === undefined || path.startsWith('/docs')) continue;
    const methods = match[3].split(', ').filter((method) => NAMEABLE.includes(method));
    const isGateway = path.startsWith('/http');
    const own = methods.filter((method) => method !== 'HEAD' || isGateway);
    const shown = path.replace(/:(\w+)/g, '{$1}').replace(/\/?\*$/, '/{path}');
    routes.push(...own.map((method) => `${method} ${shown}`));
  }
  return routes;
}

t.test('every operation says what it does and which errors it may have', async (t) => {
  const { paths } = parse(readFileSync('openapi.yaml', 'utf8')) as { paths: Paths };
  const operations = Object.values(paths).flatMap((each) => Object.values(each));
  const names = operations.map(({ operationId }) => operationId);
  t.equal(new Set(names).size, operations.length, 'each has a name of its own');
  for (const { operationId, summary, description, tags, responses } of operations) {
    t.ok(summary && description && tags?.length && responses['500'], operationId ?? 'without a name');
  }
});

t.test('docs/errors.md lists every code with its status and meaning, and no other', async (t) => {
  t.same(rowsOf(readFileSync('docs/errors.md', 'utf8')), errorRows());
});

t.test('docs/configuration.md lists every variable and every limit, and no other', async (t) => {
  t.same(rowsOf(readFileSync('docs/configuration.md', 'utf8')), [...settingRows(), ...limitRows()]);
});
