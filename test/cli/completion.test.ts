/** What shells complete: asked of bash, fish and zsh themselves, where they are. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { CliContext } from '../../src/cli/context.js';
import { commandsOf, wholeProgram } from '../../src/cli/program.js';
import { Shell } from '../support/shell-doc.js';

const folder = mkdtempSync(join(tmpdir(), 'clockwork-completion-'));
t.teardown(() => rmSync(folder, { recursive: true }));
const shell = new Shell(folder, { TERM: 'dumb' });
writeFileSync(join(folder, 'a file.json'), '{}');

const program = await wholeProgram({ err: () => undefined, version: '' } as unknown as CliContext);
const COMMANDS = program.commands.map((command) => command.name()).sort();

const has = (name: string) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0;

/** What is typed, and what may stand there; `null`: a file. */
const CASES: [typed: string[], found: string[] | null][] = [
  [[''], COMMANDS],
  [['com'], ['complete', 'completion']],
  [
    ['log', ''],
    ['cat', 'tail'],
  ],
  [
    ['completion', ''],
    ['bash', 'fish', 'zsh'],
  ],
  [['submit', 'lease', '--dur'], ['--durability']],
  [
    ['submit', '--durability', ''],
    ['archive', 'store'],
  ],
  [['submit', '--durability', 'a'], ['archive']],
  [['submit', '--file', 'a'], null],
  [['submit', '--delay-ms', ''], []],
  [['--version', 'list', '--stat'], ['--status']],
  [['list', '--status', 'complete', '--out'], ['--outcome']],
  [['log', 'cat', '--to'], ['--to-slot']],
  [['submit', ''], []],
];

async function script(name: string): Promise<string> {
  const { code, out } = await shell.run(`clockwork completion ${name}`);
  t.equal(code, 0);
  const path = join(folder, `clockwork.${name}`);
  writeFileSync(path, out);
  return path;
}

t.test('bash completes commands, options, their values and files', async (t) => {
  const path = await script('bash');
  for (const [typed, found] of CASES) {
    const words = ['clockwork', ...typed];
    t.same(await inBash(path, words), found ?? ['a file.json'], words.join(' '));
  }
  // As bash cuts it.
  t.same(await inBash(path, ['clockwork', 'list', '--outcome', '=', '']), ['fail', 'success']);
  t.same(await inBash(path, ['clockwork', 'list', '--outcome', '=', 'f', '--st']), ['--status']);
  for (const command of commandsOf(program)) {
    const names = command.options.flatMap(({ long }) => (long === undefined || long === null ? [] : [long]));
    const found = await inBash(path, [...pathOf(command), '--']);
    t.same(
      names.filter((name) => !found.includes(name)),
      [],
      `all options of ${pathOf(command).join(' ')}`,
    );
  }
});

t.test('bash completes on a terminal', async (t) => {
  const path = await script('bash');
  const typed = `source ${path}\nclockwork hand\t--att\tx; exit\n`;
  const bash = ['-qefc', 'bash --norc --noprofile -i', '/dev/null'];
  const { stdout } = spawnSync('script', bash, {
    input: typed,
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', TERM: 'dumb', INPUTRC: '/dev/null' },
    encoding: 'utf8',
    timeout: 30_000,
  });
  t.match(stdout, 'clockwork hand-back --attempt x; exit');
});

t.test('fish completes the same', { skip: has('fish') ? false : 'fish is not here' }, async (t) => {
  const path = await script('fish');
  t.equal(spawnSync('fish', ['--no-execute', path]).status, 0, 'its syntax');
  for (const [typed, found] of CASES) {
    const line = ['clockwork', ...typed].join(' ');
    const { out } = await shell.program('fish', [
      '--no-config',
      '-c',
      `source ${path}; complete -C '${line}'`,
    ]);
    const words = out.split('\n').flatMap((word) => (word === '' ? [] : [word.split('\t')[0]!]));
    t.same(words.sort(), found ?? ['a file.json'], line);
  }
});

t.test('zsh completes the same', { skip: has('zsh') ? false : 'zsh is not here' }, async (t) => {
  const path = await script('zsh');
  t.equal(spawnSync('zsh', ['-n', path]).status, 0, 'its syntax');
  for (const [typed, found] of CASES) {
    const words = ['clockwork', ...typed];
    t.same(await inZsh(path, words), found ?? ['<file>'], words.join(' '));
  }
  t.same(await inZsh(path, ['clockwork', 'list', '--outcome=s']), ['success']);
});

/** With its own functions for what comes of a completion, since those of zsh work on a terminal only. */
async function inZsh(path: string, words: readonly string[]): Promise<string[]> {
  const code = `compdef() {}; _files() { print -- '<file>'; }; compset() { PREFIX=\${PREFIX#*=}; }
    _describe() { print -rl -- "\${(@)\${(@P)2}%%:*}"; }
    source "$1"; shift; words=("$@"); CURRENT=$#; PREFIX=\${@[-1]}; _clockwork; print -r -- "prefix $PREFIX"`;
  const { out } = await shell.program('zsh', ['-f', '-c', code, 'zsh', path, ...words]);
  const lines = out.trimEnd().split('\n');
  const prefix = lines.pop()?.slice('prefix '.length) ?? '';
  return lines.filter((word) => word !== '' && (word === '<file>' || word.startsWith(prefix))).sort();
}

async function inBash(path: string, words: readonly string[]): Promise<string[]> {
  const code =
    'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); ' +
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is bash's.
    '_clockwork; printf "%s\\n" "${COMPREPLY[@]}"';
  const { out } = await shell.program('bash', ['-c', code, 'bash', path, ...words]);
  return out
    .split('\n')
    .filter((word) => word !== '')
    .sort();
}

function pathOf(command: (typeof program)['commands'][number]): string[] {
  return command.parent ? [...pathOf(command.parent as typeof command), command.name()] : [command.name()];
}
