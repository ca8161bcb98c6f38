/**
 * Reads the TAP stream of a whole run as it comes and turns it into what people want to know: a line for each file that has
 * ended, the failures with their places, how many cases each adapter's contract ran, and the totals.
 */
import { Parser, type Result } from 'tap-parser';

export interface FileResult {
  path: string;
  ok: boolean;
  passed: number;
  failed: number;
  skipped: number;
  durationMs: number;
  /** What the file wrote to its standard output besides TAP. */
  output: string[];
  /** What its tests want people to read, such as figures. */
  comments: string[];
}

export interface Failure {
  /** The file and the titles of the tests around the assertion. */
  path: string[];
  detail: string[];
}

/** `store: embedded 40, redis 40` is two of these; cases are the titles of tests that hold no further test. */
export interface ContractRun {
  port: string;
  adapter: string;
  cases: string[];
}

export interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}

/** A test with this title runs a contract: its adapter is what stands before the verb. */
const CONTRACT_TITLE = /^(?<adapter>.+?) keeps? the (?:\w+ )?contract$/;
const TAPS_OWN_COMMENT = /^\s*# (Subtest|time=|test count|failed \d+|skip:|todo:|No coverage)/;
const OWN_TOTALS = /^# \{ total: \d+,.*\}$/;

export class TapReport {
  readonly files: FileResult[] = [];
  readonly failures: Failure[] = [];
  /** The titles down to each skipped test, the reason last. */
  readonly skips: string[][] = [];
  readonly contracts: ContractRun[] = [];
  /** Tap's own count, from the comment that it ends with; null when it never came to its end. */
  private own: Totals | null = null;
  private readonly parser = new Parser();
  private readonly ended = new Set<string>();

  /** `expected` are the files that must come to their end, whatever tap thinks of that. */
  constructor(
    private readonly expected: readonly string[] = [],
    onFile: (file: FileResult) => void = () => undefined,
  ) {
    this.parser.on('child', (child: Parser) => this.readFile(child));
    this.parser.on('assert', (result: Result) => this.endFile(result, onFile));
    this.parser.on('comment', (line: string) => this.readTotals(line.trim()));
    this.parser.on('bailout', (reason: string) => {
      this.failures.push({ path: ['bail out'], detail: [reason] });
    });
  }

  write(chunk: Buffer | string): void {
    this.parser.write(chunk);
  }

  /**
   * The totals, in assertions, as tap counted them. What tap does not count (a file that crashed after its last assertion, one
   * that ran no test or was never run, tap's own death) is one failure each: a run is never green because nothing was counted.
   */
  end(exitCode: number | null): Totals {
    this.parser.end();
    const { own } = this;
    for (const path of this.expected) {
      if (!this.ended.has(path))
        this.failures.push({ path: [path], detail: ['It did not come to its end.'] });
    }
    if (own === null) {
      this.failures.push({
        path: ['tap'],
        detail: [`It ended (exit code ${exitCode}) before it could count its assertions.`],
      });
    } else if (exitCode !== 0 && this.failures.length === 0) {
      this.failures.push({ path: ['tap'], detail: [`It ended with exit code ${exitCode}.`] });
    }
    const passed = own?.passed ?? this.files.reduce((sum, file) => sum + file.passed, 0);
    return {
      passed,
      failed: Math.max(own?.failed ?? 0, this.failures.length),
      skipped: own?.skipped ?? this.skips.length,
    };
  }

  private readFile(child: Parser): void {
    const file: FileResult = {
      path: child.name,
      ok: true,
      passed: 0,
      failed: 0,
      skipped: 0,
      durationMs: 0,
      output: [],
      comments: [],
    };
    this.files.push(file);
    this.readTest(child, file, [child.name], null);
  }

  /** Follows one test and those inside it. `contract` is the run of a contract that it is part of. */
  private readTest(parser: Parser, file: FileResult, path: string[], contract: ContractRun | null): void {
    let tests = 0;
    let failuresBefore = this.failures.length;
    parser.on('child', (child: Parser) => {
      tests++;
      failuresBefore = this.failures.length;
      this.readTest(child, file, [...path, child.name], contract ?? this.contractOf(child.name, file.path));
    });
    parser.on('extra', (text: string) => file.output.push(text.trimEnd()));
    parser.on('comment', (line: string) => {
      if (!TAPS_OWN_COMMENT.test(line)) file.comments.push(line.trim().replace(/^# ?/, ''));
    });
    parser.on('assert', (result: Result) => {
      if (result.skip) {
        file.skipped++;
        this.skips.push([...path, result.name, String(result.skip)]);
      } else if (result.todo) {
        this.failures.push({ path: [...path, result.name], detail: ['A test that is still to be written.'] });
        file.failed++;
      } else if (result.closingTestPoint) {
        // A test fails by what failed inside it; only when nothing did is it a failure of its own.
        if (!result.ok && this.failures.length === failuresBefore) this.fail(file, path, result);
      } else if (result.ok) {
        file.passed++;
      } else {
        this.fail(file, path, result);
      }
    });
    parser.on('complete', () => {
      if (contract !== null && tests === 0) contract.cases.push(path.at(-1) ?? '');
    });
  }

  private fail(file: FileResult, path: string[], result: Result): void {
    file.failed++;
    this.failures.push({ path: [...path, result.name], detail: detailOf(result.diag) });
  }

  private endFile(result: Result, onFile: (file: FileResult) => void): void {
    const file = this.files.find((f) => f.path === result.name);
    if (file === undefined) {
      // Tap's own words: a file that ran out of time, say.
      if (!result.ok) this.failures.push({ path: ['tap', result.name], detail: detailOf(result.diag) });
      return;
    }
    this.ended.add(file.path);
    file.durationMs = result.time ?? 0;
    if (file.passed + file.failed + file.skipped === 0) {
      file.failed++;
      this.failures.push({
        path: [file.path],
        detail: ['It ran no test.', ...detailOf(result.diag), ...file.output],
      });
    } else if (!result.ok && file.failed === 0) {
      file.failed++;
      this.failures.push({ path: [file.path], detail: [...detailOf(result.diag), ...file.output] });
    }
    file.ok = result.ok && file.failed === 0;
    onFile(file);
  }

  private contractOf(title: string, filePath: string): ContractRun | null {
    const adapter = CONTRACT_TITLE.exec(title)?.groups?.['adapter'];
    if (adapter === undefined) return null;
    const contract = { port: filePath.split('/')[2] ?? '', adapter, cases: [] };
    this.contracts.push(contract);
    return contract;
  }

  private readTotals(line: string): void {
    if (!OWN_TOTALS.test(line)) return;
    const count = (word: string) => Number(new RegExp(`\\b${word}: (\\d+)`).exec(line)?.[1] ?? 0);
    this.own = { passed: count('pass'), failed: count('fail'), skipped: count('skip') };
  }
}

/** `store: embedded 40, redis 40 cases`, a line for each port, and what one adapter ran and another did not. */
export function contractLines(contracts: readonly ContractRun[]): { lines: string[]; differences: string[] } {
  const lines: string[] = [];
  const differences: string[] = [];
  for (const port of [...new Set(contracts.map((c) => c.port))].sort()) {
    const ran = contracts.filter((c) => c.port === port && c.cases.length > 0);
    const all = new Set(ran.flatMap((c) => c.cases));
    lines.push(`${port}: ${ran.map((c) => `${c.adapter} ${c.cases.length}`).join(', ')}`);
    for (const { adapter, cases } of ran) {
      for (const title of all) {
        if (!cases.includes(title)) differences.push(`${port}: ${adapter} did not run "${title}"`);
      }
    }
  }
  return { lines, differences };
}

/** What tap knows about a failure, without the source text that it repeats. */
function detailOf(diag: Record<string, unknown> | null | undefined): string[] {
  if (diag === null || diag === undefined) return [];
  const { at, source: _source, stack, diff, args: _args, command: _command, cwd: _cwd, ...rest } = diag;
  const { stdio: _stdio, externalID: _externalId, jobId: _jobId, ...facts } = rest;
  const place = at as { fileName?: string; lineNumber?: number; columnNumber?: number } | undefined;
  const lines: string[] = [];
  if (place?.fileName !== undefined) {
    lines.push(`at ${place.fileName}:${place.lineNumber}:${place.columnNumber}`);
  }
  if (typeof diff === 'string') lines.push(...diff.trimEnd().split('\n'));
  for (const [name, value] of Object.entries(facts)) {
    if (value !== null) lines.push(`${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`);
  }
  if (typeof stack === 'string') lines.push(...stack.trimEnd().split('\n'));
  return lines;
}
