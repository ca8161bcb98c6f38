/**
 * The real service as a process of its own, on a port of its own: started, killed, started again on the same port
 * and folder, stopped. Nothing of the environment that the tests run in reaches it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { endWithMe } from './end-with-me.js';
import { freePort } from './free-port.js';

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const READY_WITHIN_MS = 60_000;
const STOPPED_WITHIN_MS = 15_000;
const OUTPUT_KEPT_CHARS = 32_768;

export interface ServiceOptions {
  /** Beside `PORT`, `DATA_DIR` and `LOG_LEVEL`, which may be set too. */
  readonly env?: Readonly<Record<string, string>>;
  /** For Node itself, such as `--cpu-prof`. */
  readonly nodeOptions?: readonly string[];
  /** How long a start may take; a minute unless said. */
  readonly readyWithinMs?: number;
}

export class Service {
  /** The newest of what it has written. */
  output = '';
  #child: ChildProcess | null = null;
  #exited: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly port: number,
    readonly dataDir: string,
    private readonly options: ServiceOptions,
  ) {}

  /** Resolves when it is ready to serve. `stop` removes everything that it leaves. */
  static async start(options: ServiceOptions = {}): Promise<Service> {
    const dataDir = await mkdtemp(join(tmpdir(), 'clockwork-service-'));
    const service = new Service(await freePort(), dataDir, options);
    try {
      await service.restart();
    } catch (error) {
      await service.stop();
      throw error;
    }
    return service;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    if (!this.#child?.pid) throw new Error('The service is not running.');
    return this.#child.pid;
  }

  /** Starts it again where it was: same port, same folder. Resolves when it is ready. */
  async restart(): Promise<void> {
    if (this.#child) throw new Error('The service is running.');
    const { env = {}, nodeOptions = [] } = this.options;
    const child = spawn(process.execPath, [...nodeOptions, MAIN], {
      env: {
        PATH: process.env['PATH'] ?? '',
        // By which continuous integration finds processes that a test has left behind.
        CLOCKWORK_CI_MARK: process.env['CLOCKWORK_CI_MARK'] ?? '',
        PORT: String(this.port),
        DATA_DIR: this.dataDir,
        LOG_LEVEL: 'warn',
        ...env,
      },
      cwd: this.dataDir,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    endWithMe(child);
    this.#child = child;
    this.#exited = once(child, 'exit').finally(() => {
      this.#child = null;
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.output = (this.output + text).slice(-OUTPUT_KEPT_CHARS);
      });
    }
    await this.#ready(child);
  }

  /** Stands still until `thaw`, and does not know it. */
  freeze(): void {
    process.kill(this.pid, 'SIGSTOP');
  }

  thaw(): void {
    process.kill(this.pid, 'SIGCONT');
  }

  /** `kill -9`. Resolves when the process is gone. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#exited;
  }

  /** Asks it to stop and insists when it does not, in which case this rejects. `restart` finds what it has kept. */
  async pause(): Promise<void> {
    const problem = await this.#end();
    if (problem) throw new Error(`${problem}\n${this.output}`);
  }

  /** As `pause`, and removes its folder. */
  async stop(): Promise<void> {
    const problem = await this.#end();
    await rm(this.dataDir, { recursive: true, force: true });
    if (problem) throw new Error(`${problem}\n${this.output}`);
  }

  async #end(): Promise<string | null> {
    const child = this.#child;
    if (!child) return null;
    child.kill('SIGTERM');
    const insist = setTimeout(() => child.kill('SIGKILL'), STOPPED_WITHIN_MS);
    await this.#exited;
    clearTimeout(insist);
    if (child.signalCode === 'SIGKILL') return `The service did not stop within ${STOPPED_WITHIN_MS} ms.`;
    return child.exitCode === 0 ? null : `The service stopped with code ${child.exitCode}.`;
  }

  async #ready(child: ChildProcess): Promise<void> {
    const withinMs = this.options.readyWithinMs ?? READY_WITHIN_MS;
    const endsAt = performance.now() + withinMs;
    while (performance.now() < endsAt) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`The service ended while it started.\n${this.output}`);
      if (await this.#answersReady()) return;
      await delay(20);
    }
    throw new Error(`The service was not ready within ${withinMs} ms.\n${this.output}`);
  }

  async #answersReady(): Promise<boolean> {
    try {
      const response = await fetch(`${this.url}/readyz`, { headers: { connection: 'close' } });
      await response.arrayBuffer();
      return response.ok;
    } catch {
      // Nobody listens yet.
      return false;
    }
  }
}
