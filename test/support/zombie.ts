/** An archiver that a test stops in the middle of its work and wakes long after: see archiver-process.ts. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { endWithMe } from './end-with-me.js';

const PROGRAM = fileURLToPath(new URL('./archiver-process.js', import.meta.url));
const HEARD_WITHIN_MS = 30_000;

export interface Report {
  readonly kind: 'opened' | 'archived' | 'overtaken' | 'fenced' | 'failed';
  readonly slot?: number;
}

export class Zombie {
  readonly reports: Report[] = [];
  /** What it has written beside reports. */
  errors = '';
  readonly #child: ChildProcess;
  #heard: () => void = () => undefined;

  constructor(redisUrl: string, endpoint: string, bucket: string) {
    const env = { PATH: process.env['PATH'] ?? '', AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' };
    const mark = { CLOCKWORK_CI_MARK: process.env['CLOCKWORK_CI_MARK'] ?? '' };
    this.#child = spawn(process.execPath, [PROGRAM, redisUrl, endpoint, bucket], {
      env: { ...env, ...mark },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    endWithMe(this.#child);
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.errors += text;
    });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      this.reports.push(JSON.parse(line) as Report);
      this.#heard();
    });
  }

  /** Takes effect before this returns: nothing is done or heard until `wake`. */
  stop(): void {
    this.#child.kill('SIGSTOP');
  }

  wake(): void {
    this.#child.kill('SIGCONT');
  }

  /** Resolves when it has reported so after its first `from` reports. */
  async heard(kind: Report['kind'], from: number): Promise<void> {
    const endsAt = performance.now() + HEARD_WITHIN_MS;
    while (!this.reports.slice(from).some((report) => report.kind === kind)) {
      const left = endsAt - performance.now();
      if (left <= 0)
        throw new Error(
          `it did not say ${kind}: ${JSON.stringify(this.reports.slice(from))}\n${this.errors}`,
        );
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#heard = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}
