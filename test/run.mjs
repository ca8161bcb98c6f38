/**
 * What `npm test` runs. It gets what the tests need, builds, runs tap over the compiled tests and ends with one line:
 * `N passed, N failed`. Words after `npm test --` choose the test files whose path holds one of them; `--slow` runs those named
 * `*.slow.test.ts` instead of the others; continuous integration runs both.
 */
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(join(root, 'package.json'));
const REDIS_MAJOR_MIN = 7;
const SLOW_FILE_SECONDS_MAX = 1_200;

process.chdir(root);
const words = process.argv.slice(2);
const slow = words.includes('--slow');
const wanted = words.filter((word) => word !== '--slow');
const unknown = wanted.filter((word) => word.startsWith('-'));
if (unknown.length > 0)
  stop(`${unknown.join(' ')}: not an option; words choose test files by path, --slow runs the slow ones.`);

const files = testFiles();
if (files.length === 0) stop(`No test file matches ${wanted.join(' ')}.`);
ensurePrograms();
build();
ensureTap();
process.exitCode = await runTap(files);

/** Ends a run that cannot go on. It counts as a failure, so that nobody reads the end of the output as a success. */
function stop(reason) {
  console.error(reason);
  console.log('0 passed, 1 failed');
  process.exit(1);
}

function testFiles() {
  return readdirSync('test', { recursive: true })
    .map((path) => join('test', String(path)).replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.test.ts') && path.endsWith('.slow.test.ts') === slow)
    .filter((path) => wanted.length === 0 || wanted.some((word) => path.includes(word)))
    .sort();
}

function redisMajor() {
  const { stdout } = spawnSync('redis-server', ['--version'], { encoding: 'utf8' });
  return Number(/\bv=(\d+)/.exec(stdout ?? '')?.[1] ?? 0);
}

/** Programs that tests run; of Redis only the program is needed, since they start servers of their own. */
function missingPrograms() {
  const others = ['jq', 'python3'].filter(
    (name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status !== 0,
  );
  return [...(redisMajor() < REDIS_MAJOR_MIN ? ['redis-server'] : []), ...others];
}

function ensurePrograms() {
  const missing = missingPrograms();
  if (missing.length === 0) return;
  const advice = `The tests need redis-server ${REDIS_MAJOR_MIN} or newer, jq and python3 on the PATH (Debian, Ubuntu: apt-get install redis-server jq python3; macOS: brew install redis jq python).`;
  const sudo = process.getuid?.() === 0 ? [] : ['sudo', '-n'];
  const can = (command, args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0;
  if (!can('apt-get', ['--version']) || (sudo.length > 0 && !can('sudo', ['-n', 'true']))) stop(advice);

  console.log(`${missing.join(' and ')}: missing or too old, installing with apt-get`);
  // The package would start a server of its own on port 6379, which nobody asked for: RUNLEVEL=1 tells its script not to.
  const apt = [...sudo, 'env', 'DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1', 'apt-get', '-qq'];
  const run = (args) =>
    spawnSync(apt[0], [...apt.slice(1), ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  run(['update']);
  const installed = run(['install', '-y', '--no-install-recommends', ...missing]);
  if (missingPrograms().length > 0) {
    console.error(installed.stderr);
    stop(advice);
  }
}

function build() {
  const result = spawnSync('npm', ['run', '--silent', 'build'], { stdio: ['ignore', 'inherit', 'inherit'] });
  if (result.status !== 0) stop('The build failed.');
}

/** Tap makes its test class from the plugins that are chosen, and its first run after an install fails without that. */
function ensureTap() {
  const { version } = JSON.parse(readFileSync(require.resolve('tap/package.json'), 'utf8'));
  const { tap } = JSON.parse(readFileSync('package.json', 'utf8'));
  const built = JSON.stringify({ version, plugin: tap.plugin });
  const stamp = join('node_modules', '.tap-built');
  try {
    if (readFileSync(stamp, 'utf8') === built) return;
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  const result = spawnSync(process.execPath, [tapProgram(), 'build'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (result.status !== 0) stop(`tap could not be built.\n${result.stdout}${result.stderr}`);
  writeFileSync(stamp, built);
}

function tapProgram() {
  const manifest = require.resolve('tap/package.json');
  return join(dirname(manifest), JSON.parse(readFileSync(manifest, 'utf8')).bin.tap);
}

function sourceOf(compiled) {
  return compiled.replace(/^dist\/(.+)\.js$/, '$1.ts');
}

/** Reads tap's raw output rather than use one of its reporters: they draw for a terminal, and none says the totals in one line. */
async function runTap(sources) {
  const { TapReport, contractLines } = await import('../dist/test/support/tap-report.js');
  const startedAt = performance.now();
  const compiled = sources.map((path) => `dist/${path.replace(/ts$/, 'js')}`);
  const report = new TapReport(compiled, (file) => {
    const name = sourceOf(file.path);
    const seconds = (file.durationMs / 1000).toFixed(1);
    const skipped = file.skipped > 0 ? `, ${file.skipped} skipped` : '';
    const failed = file.failed > 0 ? `, ${file.failed} failed` : '';
    console.log(
      `${file.ok ? 'ok  ' : 'FAIL'} ${name}  ${file.passed} passed${failed}${skipped}  ${seconds} s`,
    );
    for (const comment of file.comments) console.log(`       ${comment}`);
  });

  const options = ['--reporter=tap', ...(slow ? [`--timeout=${SLOW_FILE_SECONDS_MAX}`] : [])];
  const tap = spawn(process.execPath, [tapProgram(), 'run', ...options, ...compiled], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => tap.kill(signal));
  tap.stdout.on('data', (chunk) => report.write(chunk));
  const exitCode = await new Promise((resolve) => {
    tap.on('error', () => resolve(null));
    tap.on('close', (code) => resolve(code));
  });

  const { lines, differences } = contractLines(report.contracts);
  if (wanted.length === 0) {
    for (const difference of differences) report.failures.push({ path: ['contract'], detail: [difference] });
  }
  const totals = report.end(exitCode);

  for (const { path, detail } of report.failures) {
    console.log(`\nFAILED ${path.map(sourceOf).join(' > ')}`);
    for (const line of detail) console.log(`    ${line}`);
  }
  console.log('');
  for (const path of report.skips) console.log(`skipped: ${path.map(sourceOf).join(' > ')}`);
  for (const line of lines) console.log(`contract cases, ${line}`);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(`${report.files.length} files, ${totals.skipped} skipped, ${seconds} s`);
  console.log(`${totals.passed} passed, ${totals.failed} failed`);
  return totals.failed === 0 && exitCode === 0 ? 0 : 1;
}
