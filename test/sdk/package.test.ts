/**
 * The package as others get it: unpacked into an empty folder it has what is needed and no more, its types check for Node and for
 * browsers, and every example of the documentation runs and prints what the page says. The SDK needs no other package, so none is there.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { Client } from '../../src/sdk/client.js';
import { Service } from '../support/service.js';

const run = promisify(execFile);
const require = createRequire(import.meta.url);
const TSC = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc');
const ADDRESS = 'http://127.0.0.1:7420';
/** Node without what the test runner would have it load: the runner adds that to every process it sees begin. */
const NODE = ['-i', `PATH=${process.env['PATH'] ?? ''}`, process.execPath] as const;
const IN_TIME = { timeoutMs: 30_000 };

interface Example {
  readonly code: string;
  readonly prints: string | null;
}

/** The page's programs, each with what it is said to print. */
function examplesIn(markdown: string): Example[] {
  const blocks = [...markdown.matchAll(/^```(ts|text)\n(.*?)^```$/gms)].map(([, language, text = '']) => ({
    language,
    text,
  }));
  return blocks.flatMap(({ language, text }, at) => {
    const next = blocks[at + 1];
    return language === 'ts' ? [{ code: text, prints: next?.language === 'text' ? next.text : null }] : [];
  });
}

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

async function pack(folder: string): Promise<Packed> {
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]);
  return (JSON.parse(stdout) as Packed[])[0]!;
}

async function compile(folder: string, files: readonly string[], options: object): Promise<string> {
  const compilerOptions = {
    target: 'ES2022',
    module: 'NodeNext',
    strict: true,
    exactOptionalPropertyTypes: true,
    ...options,
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  try {
    await run('env', [...NODE, TSC, '-p', folder]);
    return '';
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    return stdout + stderr;
  }
}

t.test('the package', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'clockwork-package-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const { filename, files } = await pack(folder);
  const place = join(folder, 'node_modules', 'clockwork');
  mkdirSync(place, { recursive: true });
  await run('tar', ['-xzf', join(folder, filename), '-C', place, '--strip-components=1']);
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');

  t.test('has the service, the SDK with its types, and nothing that only the project needs', async (t) => {
    const paths = files.map(({ path }) => path);
    const others = paths.filter((path) => !/^dist\/src\/.+\.(js|lua)$/.test(path));
    const top = ['CHANGELOG.md', 'LICENSE', 'README.md', 'openapi.yaml', 'package.json'];
    const types = others.filter((path) => !top.includes(path));
    t.same(others.filter((path) => top.includes(path)).sort(), top);
    t.ok(types.length > 0);
    t.same(
      types.filter((path) => !/^dist\/src\/sdk\/[a-z-]+\.d\.ts$/.test(path)),
      [],
      'no maps, no tests, no other types',
    );
  });

  const examples = examplesIn(readFileSync('docs/sdk.md', 'utf8'));
  const service = await Service.start({ env: { ARCHIVE_INTERVAL_MS: '50' } });
  t.teardown(() => service.stop());
  const names = examples.map(({ code }, at) => {
    writeFileSync(join(folder, `example-${at}.ts`), code.replaceAll(ADDRESS, service.url));
    return `example-${at}`;
  });
  const sources = names.map((name) => `${name}.ts`);

  t.test('its types check in Node, with every example', async (t) => {
    const node = { lib: ['ES2023'], typeRoots: [resolve('node_modules/@types')], types: ['node'] };
    t.equal(await compile(folder, sources, node), '');
    const wrong =
      "import { Client } from 'clockwork/client';\nnew Client<{ a: { request: 1; response: 1 } }>({ url: '' }).submit('a', 2);\n";
    writeFileSync(join(folder, 'wrong.ts'), wrong);
    t.match(
      await compile(folder, ['wrong.ts'], { ...node, noEmit: true }),
      /TS2345/,
      'and a wrong payload does not',
    );
  });

  t.test('the types of the client check in a browser', async (t) => {
    const client = sources.filter((_, at) => !examples[at]?.code.includes('clockwork/listener'));
    const browser = {
      lib: ['ES2023', 'DOM', 'DOM.Iterable'],
      types: [],
      module: 'ESNext',
      moduleResolution: 'Bundler',
    };
    t.equal(await compile(folder, client, { ...browser, noEmit: true }), '');
  });

  t.test('every example runs', async (t) => {
    const [greeter, counter] = names.filter((_, at) => examples[at]?.code.includes('clockwork/listener'));
    const greeting = startExample(t, folder, [`${greeter}.js`]);
    for (const [at, { prints }] of examples.entries()) {
      if (prints === null) continue;
      const { stdout } = await run('env', [...NODE, `example-${at}.js`], { cwd: folder });
      t.equal(stdout, prints, `example ${at}`);
    }
    const client = new Client({ url: service.url });
    const count = async () => (await client.wait(await client.submit('ping'), IN_TIME)).response?.body;
    for (const [runs, flags] of [[], [], ['--rebuild']].entries()) {
      const counting = startExample(t, folder, [`${counter}.js`, ...flags]);
      t.same(await count(), { pings: runs + 1 }, 'the count goes on after a restart');
      await stopExample(t, counting);
    }
    await stopExample(t, greeting);
  });
});

function startExample(t: Test, cwd: string, args: readonly string[]): ChildProcess {
  const child = spawn('env', [...NODE, ...args], { cwd, stdio: ['ignore', 'inherit', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  return child;
}

async function stopExample(t: Test, child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  t.same(await exited, [0, null], 'it ends when it is told to');
}
