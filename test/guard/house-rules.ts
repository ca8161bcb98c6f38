/**
 * The rules that keep the house in order, as one function over the text of its files: who may import whom, who may use which
 * package, and what a file must look like. Imports are found by pattern, not by a parser: Biome's formatting makes that safe.
 */
import { posix } from 'node:path';

export interface SourceFile {
  /** From the root of the project, with `/`. */
  path: string;
  text: string;
}

interface Import {
  specifier: string;
  /** The file that it leads to, or null for a package. */
  target: string | null;
}

type Part =
  | 'errors'
  | 'config'
  | 'event'
  | 'port'
  | `adapter ${string}`
  | 'queue'
  | 'log'
  | 'http'
  | 'maintenance'
  | 'metrics'
  | 'app'
  | 'main'
  | 'sdk'
  | 'cli'
  | 'dashboard';

/** Commands that ask a service do so by HTTP alone, over the SDK: they know no log and no store. */
const ONLINE = /^src\/cli\/online\//;
const ONLINE_MAY_IMPORT = /^src\/(sdk\/|cli\/(online\/|context\.ts$|progress\.ts$|whole-number\.ts$))/;

const FILE_LINES_MAX = 500;
/** Written by a program from the contract, one declaration after the other: nobody has to find his way in it. */
const GENERATED = 'src/sdk/wire.ts';
const ADAPTER = /^src\/(store\/(?:embedded|redis)\/|blob\/(?:s3|file)\.ts$)/;
const CORE: readonly Part[] = ['errors', 'event', 'port'];

/** What each part may import beside itself. An adapter is named by nobody but `main`. */
const MAY_IMPORT: Record<string, readonly Part[]> = {
  errors: [],
  config: ['errors', 'event'],
  event: [],
  port: ['errors', 'event'],
  adapter: [...CORE, 'config'],
  queue: [...CORE, 'config'],
  log: [...CORE, 'config'],
  http: [...CORE, 'config', 'queue', 'log'],
  maintenance: [...CORE, 'config', 'queue', 'log'],
  metrics: [...CORE, 'queue', 'log', 'http'],
  app: [...CORE, 'config', 'queue', 'log', 'http', 'maintenance'],
  main: [...CORE, 'config', 'queue', 'log', 'http', 'maintenance', 'metrics', 'app'],
  sdk: [],
  cli: [...CORE, 'config', 'sdk', 'log'],
  dashboard: [],
};

/** Packages that one place alone may know. */
const PACKAGE_HOMES: readonly { name: RegExp; home: RegExp; said: string }[] = [
  { name: /^ioredis(\/|$)/, home: /^src\/store\/redis\//, said: 'ioredis stands only in src/store/redis' },
  { name: /^@aws-sdk\//, home: /^src\/blob\/s3\.ts$/, said: 'the AWS SDK stands only in src/blob/s3.ts' },
  {
    name: /^(fastify$|@fastify\/)/,
    home: /^src\/(http\/|app\.ts$|main\.ts$)/,
    said: 'Fastify stands only in src/http, src/app.ts and src/main.ts',
  },
  { name: /^prom-client$/, home: /^src\/metrics\//, said: 'prom-client stands only in src/metrics' },
  { name: /^commander$/, home: /^src\/cli\//, said: 'commander stands only in src/cli' },
];

/** The core decides from what it is given: it has no clock, no chance and no way out of the process. */
const CORE_BUILTINS = ['node:crypto', 'node:buffer'];
const CORE_IMPURE =
  /\b(Date\.now\(|new Date\(\)|performance\.now\(|Math\.random\(|randomBytes\(|randomUUID\(|setTimeout\(|setInterval\(|process\.)/;

/** The SDK runs in browsers too: it has what the web has, and nothing of Node's. Its compilation without Node's types says the same. */
const NODE_ONLY = /\b(process\.|Buffer\b|require\(|setImmediate\b|__dirname\b|globalThis\.process)/;

const FOLDERS_BY_KIND = /(^|\/)(utils?|common|helpers?|types|interfaces|classes|misc)(\/|\.ts$)/;
/** In halves, since this file keeps the rule too. */
const UNFINISHED = new RegExp(`\\b(${'TO'}DO|${'FIX'}ME)\\b`);

/** Everything that is wrong, a sentence each; empty when the house is in order. */
export function violations(files: readonly SourceFile[]): string[] {
  const found: string[] = [];
  const graph = new Map<string, string[]>();
  for (const file of files) {
    const code = /\.(ts|mjs)$/.test(file.path);
    found.push(...shapeOf(file, code));
    if (!code || !file.path.startsWith('src/')) continue;
    const imports = importsOf(file);
    graph.set(
      file.path,
      imports.flatMap(({ target }) => (target === null ? [] : [target])),
    );
    found.push(...importViolations(file, imports), ...contentViolations(file));
  }
  return [...found, ...cyclesIn(graph)];
}

export function importsOf(file: SourceFile): Import[] {
  const patterns = [
    /^(?:import|export)\s[^'";]*?\bfrom\s+['"]([^'"]+)['"]/gm,
    /^import\s+['"]([^'"]+)['"]/gm,
    /\bimport\(\s*['"]([^'"]+)['"]/g,
    /\bnew URL\(\s*['"](\.[^'"]+\.js)['"],\s*import\.meta\.url/g,
  ];
  const specifiers = patterns.flatMap((pattern) => [...file.text.matchAll(pattern)].map((m) => m[1] ?? ''));
  return specifiers.map((specifier) => ({
    specifier,
    target: specifier.startsWith('.')
      ? posix.join(posix.dirname(file.path), specifier).replace(/\.js$/, '.ts')
      : null,
  }));
}

function partOf(path: string): Part | null {
  const adapter = ADAPTER.exec(path);
  if (adapter !== null) return `adapter ${adapter[1]}`;
  const [, first = '', second] = path.split('/');
  if (second === undefined) {
    const name = first.replace(/\.ts$/, '');
    return name === 'errors' || name === 'config' || name === 'app' || name === 'main' ? name : null;
  }
  if (first === 'store' || first === 'blob') return 'port';
  return Object.hasOwn(MAY_IMPORT, first) ? (first as Part) : null;
}

function importViolations(file: SourceFile, imports: readonly Import[]): string[] {
  const part = partOf(file.path);
  if (part === null)
    return [`${file.path} belongs to no part of the house: give it a place in the import rules`];
  const allowed = MAY_IMPORT[part.startsWith('adapter') ? 'adapter' : part] ?? [];
  return imports.flatMap(({ specifier, target }) => {
    if (target === null) return packageViolations(file, part, specifier);
    if (!target.startsWith('src/')) return [`${file.path} leaves src: ${specifier}`];
    if (ONLINE.test(file.path) && !ONLINE_MAY_IMPORT.test(target))
      return [`${file.path} asks the service by HTTP: the SDK is its only way there (${specifier})`];
    const other = partOf(target);
    if (other === null || other === part || allowed.includes(other)) return [];
    if (other.startsWith('adapter')) {
      if (part === 'main' || file.path === 'src/cli/main.ts') return [];
      return [`${file.path} names the ${other}: only a main may (${specifier})`];
    }
    return [`${file.path}: ${part} may not import ${other} (${specifier})`];
  });
}

function packageViolations(file: SourceFile, part: Part, specifier: string): string[] {
  const found = PACKAGE_HOMES.filter(({ name, home }) => name.test(specifier) && !home.test(file.path)).map(
    ({ said }) => `${file.path}: ${said} (${specifier})`,
  );
  if (part === 'sdk')
    found.push(`${file.path}: the SDK needs no package and no module of Node's (${specifier})`);
  if (part === 'event' && specifier.startsWith('node:') && !CORE_BUILTINS.includes(specifier)) {
    found.push(`${file.path}: the core does no I/O (${specifier})`);
  }
  return found;
}

function contentViolations(file: SourceFile): string[] {
  const found: string[] = [];
  for (const [i, line] of file.text.split('\n').entries()) {
    if (/^\s*(\*|\/\/|\/\*)/.test(line)) continue;
    const at = `${file.path}, line ${i + 1}`;
    if (/\bconsole\s*[.[]/.test(line) && partOf(file.path) !== 'cli')
      found.push(`${at}: console is for the cli alone`);
    if (partOf(file.path) === 'sdk' && NODE_ONLY.test(line)) found.push(`${at}: the SDK uses web APIs only`);
    if (partOf(file.path) === 'event' && CORE_IMPURE.test(line)) {
      found.push(`${at}: the core has no clock, no chance and no process of its own`);
    }
  }
  return found;
}

function shapeOf(file: SourceFile, code: boolean): string[] {
  const found: string[] = [];
  const lines = file.text.trimEnd().split('\n');
  const isLong = lines.length > FILE_LINES_MAX && file.path !== GENERATED;
  if (isLong && /\.(ts|mjs|lua|sh)$/.test(file.path)) {
    found.push(`${file.path} has ${lines.length} lines, more than ${FILE_LINES_MAX}`);
  }
  if (FOLDERS_BY_KIND.test(file.path)) found.push(`${file.path} is named by its kind, not by what it holds`);
  const opening = lines[0]?.startsWith('#!') ? lines[1] : lines[0];
  if (code && !/^\/[/*]/.test(opening ?? ''))
    found.push(`${file.path} does not open by saying what it holds`);
  for (const [i, line] of lines.entries()) {
    if (UNFINISHED.test(line))
      found.push(`${file.path}, line ${i + 1}: unfinished work belongs into an issue`);
  }
  return found;
}

/** Each import cycle once, as the way round it. */
function cyclesIn(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const way: string[] = [];
  const visit = (path: string): void => {
    const from = way.indexOf(path);
    if (from >= 0) {
      found.push(`an import cycle: ${[...way.slice(from), path].join(' -> ')}`);
      return;
    }
    if (done.has(path)) return;
    way.push(path);
    for (const next of graph.get(path) ?? []) visit(next);
    way.pop();
    done.add(path);
  };
  for (const path of graph.keys()) visit(path);
  return found;
}
