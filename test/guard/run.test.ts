/** The reader behind `npm test`: whatever goes wrong with a run, it must not read as a success. */
import t from 'tap';
import { contractLines, TapReport } from '../support/tap-report.js';

function read(tap: string, exitCode: number | null = 0) {
  const report = new TapReport();
  report.write(tap);
  return { totals: report.end(exitCode), report };
}

const file = (body: string, ok = true, name = 'dist/test/store/a.test.js') =>
  [
    `# Subtest: ${name}`,
    body.replace(/^/gm, '    '),
    `${ok ? 'ok' : 'not ok'} 1 - ${name} # time=12ms`,
    '',
  ].join('\n');
const run = (files: string, totals: string) =>
  `TAP version 14\n1..1\n${files}\n# { ${totals} }\n# time=1ms\n`;

t.test('a good run counts the assertions as tap does', async (t) => {
  const { totals, report } = read(
    run(
      file(
        '# Subtest: a\n    # posted 5, lost 0\n    ok 1 - x\n    ok 2 - y\n    1..2\nok 1 - a # time=1ms\nok 2 - b # SKIP no server\n1..2',
      ),
      'total: 3, pass: 2, fail: 0, skip: 1',
    ),
  );
  t.same(totals, { passed: 2, failed: 0, skipped: 1 });
  t.same(report.skips, [['dist/test/store/a.test.js', 'b', 'no server']]);
  t.match(report.files, [
    {
      path: 'dist/test/store/a.test.js',
      ok: true,
      passed: 2,
      failed: 0,
      skipped: 1,
      durationMs: 12,
      comments: ['posted 5, lost 0'],
    },
  ]);
});

t.test('a failure is told once, with its titles, its place and its difference', async (t) => {
  const { totals, report } = read(
    run(
      file(
        [
          '# Subtest: a',
          '    not ok 1 - one is two',
          '      ---',
          '      compare: ===',
          '      at:',
          '        fileName: test/store/a.test.ts',
          '        lineNumber: 3',
          '        columnNumber: 32',
          '      diff: |',
          '        --- expected',
          '        +++ actual',
          '      ...',
          '    1..1',
          'not ok 1 - a # time=1ms',
          '1..1',
        ].join('\n'),
        false,
      ),
      'total: 1, pass: 0, fail: 1',
    ),
    1,
  );
  t.same(totals, { passed: 0, failed: 1, skipped: 0 });
  t.same(report.failures, [
    {
      path: ['dist/test/store/a.test.js', 'a', 'one is two'],
      detail: ['at test/store/a.test.ts:3:32', '--- expected', '+++ actual', 'compare: ==='],
    },
  ]);
});

t.test('a file that is killed after its last assertion is a failure, though tap counts none', async (t) => {
  const { totals, report } = read(
    run(
      [
        '# Subtest: dist/test/a.test.js',
        '    ok 1 - x',
        '    # test count(1) != plan(null)',
        'not ok 1 - dist/test/a.test.js # time=12ms',
        '  ---',
        '  signal: SIGKILL',
        '  ...',
      ].join('\n'),
      'total: 1, pass: 1',
    ),
    1,
  );
  t.same(totals, { passed: 1, failed: 1, skipped: 0 });
  t.match(report.failures[0]?.detail, ['signal: SIGKILL']);
});

t.test('a file that runs no test is a failure, though tap only skips it', async (t) => {
  const { totals } = read(
    run(
      '# Subtest: dist/test/a.test.js\n    hello\n    1..0 # no tests found\nok 1 - dist/test/a.test.js # SKIP no tests found',
      'total: 1, pass: 0, skip: 1',
    ),
  );
  t.equal(totals.failed, 1);
});

t.test('a file that tap forgot to run is a failure', async (t) => {
  const report = new TapReport(['dist/test/store/a.test.js', 'dist/test/store/b.test.js']);
  report.write(run(file('ok 1 - x\n1..1'), 'total: 1, pass: 1'));
  t.same(report.end(0), { passed: 1, failed: 1, skipped: 0 });
  t.same(report.failures, [{ path: ['dist/test/store/b.test.js'], detail: ['It did not come to its end.'] }]);
});

t.test('what tap itself says is wrong is a failure', async (t) => {
  const tap = run(
    `${file('ok 1 - x\n1..1')}not ok 2 - timeout!\n  ---\n  expired: a\n  ...`,
    'total: 2, pass: 1',
  );
  t.equal(read(tap, 1).totals.failed, 1);
});

t.test('a test that is only planned is a failure', async (t) => {
  const { totals } = read(run(file('ok 1 - later # Todo\n1..1'), 'total: 1, pass: 0, todo: 1'));
  t.equal(totals.failed, 1);
});

t.test('a run that breaks off is a failure', async (t) => {
  t.equal(read('', 1).totals.failed, 1, 'without a word');
  t.equal(read('', 0).totals.failed, 1, 'without a word, and content with itself');
  t.equal(read(`TAP version 14\n1..2\n${file('ok 1 - x\n1..1')}`, null).totals.failed, 1, 'in the middle');
  t.equal(
    read(run(file('ok 1 - x\n1..1'), 'total: 1, pass: 1, fail: 0'), 7).totals.failed,
    1,
    'by its exit code',
  );
  t.ok(read('TAP version 14\nBail out! no disk\n', 1).totals.failed >= 1, 'by a bail-out');
});

t.test('the cases of a contract are counted for each adapter, and must be the same', async (t) => {
  const contract = (adapter: string, titles: string[]) =>
    [
      `# Subtest: ${adapter} keeps the contract`,
      ...titles.flatMap((title) => [
        `    # Subtest: ${title}`,
        '        ok 1 - x',
        '        1..1',
        `    ok 1 - ${title}`,
      ]),
      '    1..1',
      `ok 1 - ${adapter} keeps the contract`,
      '1..1',
    ].join('\n');
  const { report } = read(
    run(
      file(contract('redis', ['accepts', 'leases']), true, 'dist/test/store/redis.test.js') +
        file(contract('embedded', ['accepts']), true, 'dist/test/store/embedded/embedded.test.js'),
      'total: 3, pass: 3',
    ),
  );
  t.same(contractLines(report.contracts), {
    lines: ['store: redis 2, embedded 1'],
    differences: ['store: embedded did not run "leases"'],
  });
});
