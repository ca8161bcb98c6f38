/** The house rules hold for every file of the project, and each rule is seen to find what it forbids. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { importsOf, type SourceFile, violations } from './house-rules.js';

const FOLDERS = ['src', 'test', 'bench', 'examples'];
const TEXT = /\.(ts|mjs|js|lua|sh|md)$/;

function projectFiles(): SourceFile[] {
  return FOLDERS.flatMap((folder) => {
    let names: string[];
    try {
      names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
    return names
      .filter((name) => TEXT.test(name) && !name.includes('node_modules'))
      .map((name) => join(folder, name).replaceAll('\\', '/'))
      .map((path) => ({ path, text: readFileSync(path, 'utf8') }));
  });
}

const file = (path: string, ...lines: string[]): SourceFile => ({
  path,
  text: ['/** What it holds. */', ...lines, ''].join('\n'),
});

t.test('the project keeps the house rules', async (t) => {
  const files = projectFiles();
  t.ok(files.length > 20, `${files.length} files are looked at`);
  t.same(violations(files), []);
});

t.test('what may stand is let through', async (t) => {
  t.same(
    violations([
      file('src/event/state.ts', "import { createHash } from 'node:crypto';"),
      file('src/store/store.ts', "import type { State } from '../event/state.js';"),
      file('src/blob/probe.ts', "import { thing } from './blob.js';"),
      file('src/blob/blob.ts'),
      file(
        'src/store/redis/store.ts',
        "import { Redis } from 'ioredis';",
        "import '../store.js';",
        "import './scripts.js';",
      ),
      file('src/store/redis/scripts.ts'),
      file('src/store/embedded/store.ts', "const worker = new URL('./worker.js', import.meta.url);"),
      file('src/store/embedded/worker.ts'),
      file('src/blob/s3.ts', "import { S3Client } from '@aws-sdk/client-s3';", "import './probe.js';"),
      file(
        'src/queue/submit.ts',
        "import '../store/store.js';",
        "import '../errors.js';",
        "import '../config.js';",
      ),
      file('src/http/routes/events.ts', "import '../../queue/submit.js';", "import fastify from 'fastify';"),
      file('src/app.ts', "import './http/routes/events.js';"),
      file('src/main.ts', "import './app.js';", "import './store/redis/store.js';", "import './blob/s3.js';"),
      file('src/cli/main.ts', "console.log('hello');", "import '../blob/s3.js';", "import './program.js';"),
      file('src/cli/program.ts', "import { Command } from 'commander';", "import '../log/archiver.js';"),
      file(
        'src/metrics/metrics.ts',
        "import { Registry } from 'prom-client';",
        "import '../queue/submit.js';",
      ),
      file('src/sdk/client.ts', "import './transport.js';", 'const answer = await fetch(url);'),
      file('src/sdk/transport.ts'),
      file('src/errors.ts'),
      file('src/config.ts', "import './errors.js';"),
      file('test/support/redis.ts', "import { Redis } from 'ioredis';", "console.log('tests may');"),
    ]),
    [],
  );
});

const FORBIDDEN: Record<string, { files: SourceFile[]; said: RegExp }> = {
  'the core imports the port': {
    files: [file('src/event/a.ts', "import type { Store } from '../store/store.js';")],
    said: /event may not import port/,
  },
  'the core does I/O': {
    files: [file('src/event/a.ts', "import { readFile } from 'node:fs/promises';")],
    said: /does no I\/O/,
  },
  'the core reads a clock': {
    files: [file('src/event/a.ts', 'const now = Date.now();')],
    said: /no clock/,
  },
  'a port imports a use case': {
    files: [file('src/store/store.ts', "import '../queue/queue.js';")],
    said: /port may not import queue/,
  },
  'a use case imports a route': {
    files: [file('src/queue/queue.ts', "export { reply } from '../http/reply.js';")],
    said: /queue may not import http/,
  },
  'a use case imports the log': {
    files: [file('src/queue/queue.ts', "import '../log/archiver.js';")],
    said: /queue may not import log/,
  },
  'a duty imports a route': {
    files: [file('src/maintenance/reaper.ts', "import '../http/reply.js';")],
    said: /maintenance may not import http/,
  },
  'a route imports the app': {
    files: [file('src/http/reply.ts', "import '../app.js';")],
    said: /http may not import app/,
  },
  'the app imports main': {
    files: [file('src/app.ts', "import './main.js';")],
    said: /app may not import main/,
  },
  'the app names an adapter': {
    files: [file('src/app.ts', "import './store/embedded/store.js';")],
    said: /only a main may/,
  },
  'a use case loads an adapter late': {
    files: [file('src/queue/queue.ts', "const store = await import('../store/redis/store.js');")],
    said: /only a main may/,
  },
  'an adapter imports another of its port': {
    files: [file('src/store/redis/store.ts', "import '../embedded/journal.js';")],
    said: /names the adapter store\/embedded/,
  },
  'an adapter imports one of another port': {
    files: [
      file('src/store/embedded/store.ts', 'import {', '  FileBlobStore,', "} from '../../blob/file.js';"),
    ],
    said: /names the adapter blob\/file/,
  },
  'a port imports its adapter': {
    files: [file('src/blob/probe.ts', "import './s3.js';")],
    said: /names the adapter blob\/s3/,
  },
  'an adapter starts a worker of another': {
    files: [
      file('src/store/redis/store.ts', "new Worker(new URL('../embedded/worker.js', import.meta.url));"),
    ],
    said: /names the adapter store\/embedded/,
  },
  'ioredis outside its folder': {
    files: [file('src/queue/waiting.ts', "import type { Redis } from 'ioredis';")],
    said: /ioredis stands only/,
  },
  'the AWS SDK outside its file': {
    files: [file('src/blob/key.ts', "import { S3Client } from '@aws-sdk/client-s3';")],
    said: /AWS SDK stands only/,
  },
  'Fastify in a use case': {
    files: [file('src/queue/queue.ts', "import type { FastifyInstance } from 'fastify';")],
    said: /Fastify stands only/,
  },
  'a route counts by itself': {
    files: [file('src/http/routes/metrics.ts', "import '../../metrics/metrics.js';")],
    said: /http may not import metrics/,
  },
  'prom-client outside its folder': {
    files: [file('src/queue/meter.ts', "import { Counter } from 'prom-client';")],
    said: /prom-client stands only/,
  },
  'commander outside the command line': {
    files: [file('src/main.ts', "import { Command } from 'commander';")],
    said: /commander stands only/,
  },
  'a command of the CLI names an adapter': {
    files: [file('src/cli/commands/verify.ts', "import '../../blob/s3.js';")],
    said: /only a main may/,
  },
  'the CLI asks the queue directly': {
    files: [file('src/cli/commands/post.ts', "import '../../queue/queue.js';")],
    said: /cli may not import queue/,
  },
  'a command that asks the service looks into its log': {
    files: [file('src/cli/online/status.ts', "import { LogReader } from '../../log/reader.js';")],
    said: /asks the service by HTTP/,
  },
  'a command that asks the service takes a way round through another': {
    files: [file('src/cli/online/status.ts', "import { logPlace } from '../log-place.js';")],
    said: /asks the service by HTTP/,
  },
  'the SDK looks inside': {
    files: [file('src/sdk/client.ts', "import '../event/id.js';")],
    said: /sdk may not import event/,
  },
  'the SDK needs Node': {
    files: [file('src/sdk/client.ts', "import { randomUUID } from 'node:crypto';")],
    said: /needs no package and no module of Node/,
  },
  'the SDK needs a package': {
    files: [file('src/sdk/client.ts', "import { fetch } from 'undici';")],
    said: /needs no package/,
  },
  'the SDK uses what only Node has': {
    files: [file('src/sdk/content.ts', "const text = Buffer.from('a').toString('base64');")],
    said: /uses web APIs only/,
  },
  'the service imports a test': {
    files: [file('src/queue/queue.ts', "import '../../test/support/clock.js';")],
    said: /leaves src/,
  },
  'a file without a part': {
    files: [file('src/plumbing/pipe.ts')],
    said: /belongs to no part/,
  },
  'two files that import each other': {
    files: [
      file('src/queue/a.ts', "import './b.js';"),
      file('src/queue/b.ts', "import type { A } from './a.js';"),
    ],
    said: /an import cycle: src\/queue\/a\.ts -> src\/queue\/b\.ts -> src\/queue\/a\.ts/,
  },
  'a circle of three': {
    files: [
      file('src/queue/a.ts', "import './b.js';"),
      file('src/queue/b.ts', "import './c.js';"),
      file('src/queue/c.ts', "export * from './a.js';"),
    ],
    said: /an import cycle/,
  },
  'a file that is too long': {
    files: [file('test/queue/a.test.ts', ...Array.from({ length: 500 }, () => ''), 'export {};')],
    said: /has 502 lines, more than 500/,
  },
  'a script that is too long': {
    files: [{ path: 'src/store/redis/lua/a.lua', text: 'return 1\n'.repeat(501) }],
    said: /has 501 lines/,
  },
  'a word to the console': {
    files: [file('src/queue/queue.ts', "  console.log('here');")],
    said: /line 2: console is for the cli alone/,
  },
  'work left undone': {
    files: [file('test/support/a.ts', `// ${'TO'}DO: later`)],
    said: /unfinished/,
  },
  'work left undone in a script': {
    files: [{ path: 'src/store/redis/lua/a.lua', text: `-- ${'FIX'}ME\n` }],
    said: /unfinished/,
  },
  'a folder named by its kind': {
    files: [file('src/queue/utils/sort.ts')],
    said: /named by its kind/,
  },
  'a file without an opening': {
    files: [{ path: 'src/queue/a.ts', text: 'export const a = 1;\n' }],
    said: /does not open by saying/,
  },
};

t.test('each rule finds what it forbids', async (t) => {
  for (const [title, { files, said }] of Object.entries(FORBIDDEN)) {
    const found = violations(files);
    t.equal(found.length, 1, `${title}: one thing is wrong`);
    t.match(found[0], said, title);
  }
});

t.test('imports are found in all their forms', async (t) => {
  const forms = file(
    'src/queue/a.ts',
    "import one from './one.js';",
    "import type { Two } from './two.js';",
    'import {',
    '  three,',
    "} from './three.js';",
    "export * from './four.js';",
    "export { five } from './five.js';",
    "import './six.js';",
    "const seven = await import('./seven.js');",
    "let eight: import('./eight.js').Eight;",
    "const worker = new URL('./nine.js', import.meta.url);",
    "import fs from 'node:fs';",
  );
  t.same(
    importsOf(forms)
      .map(({ specifier }) => specifier)
      .sort(),
    [
      './eight.js',
      './five.js',
      './four.js',
      './nine.js',
      './one.js',
      './seven.js',
      './six.js',
      './three.js',
      './two.js',
      'node:fs',
    ],
  );
});
