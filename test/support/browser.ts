/** A headless Chromium, told what to do over its own protocol (CDP): opens a page and runs code in it. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { WebSocket } from 'undici';
import { endWithMe, killGroup } from './end-with-me.js';

const PROGRAMS = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome'];

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

/** The program, or null where there is none. `CHROMIUM` names another. */
export function findChromium(): string | null {
  const named = process.env['CHROMIUM'];
  const all = named === undefined ? PROGRAMS : [named];
  return all.find((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0) ?? null;
}

export class Browser {
  #lastId = 0;
  readonly #waiting = new Map<number, (message: Message) => void>();
  #onLoad: () => void = () => {};

  private constructor(
    readonly process: ChildProcess,
    readonly folder: string,
    readonly socket: WebSocket,
  ) {
    socket.addEventListener('message', ({ data }) => {
      const message = JSON.parse(String(data)) as Message;
      if (message.id !== undefined) this.#waiting.get(message.id)?.(message);
      else if (message.method === 'Page.loadEventFired') this.#onLoad();
    });
  }

  static async start(program: string): Promise<Browser> {
    const folder = await mkdtemp(join(tmpdir(), 'clockwork-browser-'));
    // As root it has no sandbox; the pages are the project's own.
    const args = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--no-proxy-server'];
    // It asks nobody for anything but the pages that it is told to open.
    args.push(
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-quic',
    );
    const child = spawn(
      program,
      [...args, '--remote-debugging-port=0', `--user-data-dir=${folder}`, 'about:blank'],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
        detached: true,
      },
    );
    endWithMe(child, true);
    const port = await debuggingPort(child);
    const pages = (await (await fetch(`http://127.0.0.1:${port}/json`)).json()) as {
      type: string;
      webSocketDebuggerUrl: string;
    }[];
    const page = pages.find(({ type }) => type === 'page')!;
    const socket = new WebSocket(page.webSocketDebuggerUrl);
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', reject);
    });
    const browser = new Browser(child, folder, socket);
    await browser.#send('Page.enable');
    return browser;
  }

  /** Resolves when the page has loaded. */
  async open(url: string): Promise<void> {
    const loaded = new Promise<void>((resolve) => {
      this.#onLoad = resolve;
    });
    await this.#send('Page.navigate', { url });
    await loaded;
  }

  /** Runs an expression in the page; resolves to its value, a JSON one, that of a promise included. */
  async run(expression: string): Promise<unknown> {
    const { result, exceptionDetails } = await this.#send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { value?: unknown }).value;
  }

  async stop(): Promise<void> {
    const exited = once(this.process, 'exit');
    this.socket.close();
    killGroup(this.process, 'SIGTERM');
    await exited;
    // Processes of its own may hold the other end a little longer.
    this.process.stderr?.destroy();
    // And they may still write.
    await rm(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  async #send(method: string, params: object = {}): Promise<Record<string, unknown>> {
    this.#lastId += 1;
    const id = this.#lastId;
    const answered = new Promise<Message>((resolve) => this.#waiting.set(id, resolve));
    this.socket.send(JSON.stringify({ id, method, params }));
    const { result, error } = await answered;
    this.#waiting.delete(id);
    if (error) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  }
}

/** It says on which port it listens. It is read on after that, so that it never waits for a reader. */
function debuggingPort(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => reject(new Error('The browser ended as it started.')));
    createInterface({ input: child.stderr! }).on('line', (line) => {
      const port = /^DevTools listening on ws:\/\/[^:]+:(\d+)\//.exec(line)?.[1];
      if (port !== undefined) resolve(port);
    });
  });
}
