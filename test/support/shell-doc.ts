/** Pages of the documentation as a shell runs them: what stands in them, what it prints, and `clockwork` as a command. */
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

export interface Block {
  readonly code: string;
  /** What the page says that it prints. */
  readonly prints: string | null;
}

/** The blocks of shell in a text, each with the block of text that follows it. */
export function shellBlocks(markdown: string): Block[] {
  const blocks = [...markdown.matchAll(/^```(sh|text)\n(.*?)^```$/gms)];
  return blocks.flatMap(([, language, code = ''], at) => {
    const [, nextLanguage, prints = ''] = blocks[at + 1] ?? [];
    return language === 'sh' ? [{ code, prints: nextLanguage === 'text' ? prints : null }] : [];
  });
}

export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A folder to work in, in which `clockwork` is this project's. */
export class Shell {
  readonly #bin: string;

  constructor(
    readonly folder: string,
    readonly env: Readonly<Record<string, string>>,
  ) {
    this.#bin = join(folder, 'bin');
    mkdirSync(this.#bin);
    const path = join(this.#bin, 'clockwork');
    // Node without what the test runner would have it load.
    writeFileSync(path, `#!/bin/sh\nunset NODE_OPTIONS\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
    chmodSync(path, 0o755);
  }

  run(code: string, env: Readonly<Record<string, string>> = {}): Promise<Ended> {
    // Node's pipes look like the network to bash, which reads a file of settings then unless it is told not to.
    return this.program('bash', ['--norc', '-euo', 'pipefail', '-c', code], env);
  }

  program(
    program: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Ended> {
    const path = `${this.#bin}:${process.env['PATH'] ?? ''}`;
    const mark = process.env['CLOCKWORK_CI_MARK'] ?? '';
    const all = { ...this.env, ...env, PATH: path, HOME: this.folder, CLOCKWORK_CI_MARK: mark };
    return new Promise((resolve, reject) => {
      execFile(program, args, { cwd: this.folder, env: all }, (error, out, err) => {
        const code = error === null ? 0 : error.code;
        if (typeof code === 'number') resolve({ code, out, err });
        else reject(error);
      });
    });
  }
}

/** With what differs from run to run made the same: ids, times, positions, tokens. */
export function masked(text: string): string {
  return text
    .replace(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/^(position +).*$/gm, '$1P');
}
