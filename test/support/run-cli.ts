/** The program `clockwork` within the test's own process: what it prints, and how it ends. It has no log and no store. */
import type { CliContext } from '../../src/cli/context.js';
import { runCli } from '../../src/cli/program.js';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const decoder = new TextDecoder();

export async function run(args: readonly string[], more: Partial<CliContext> = {}): Promise<Ran> {
  let out = '';
  let err = '';
  const none = () => Promise.reject(new Error('the test has none'));
  const code = await runCli(args, {
    env: {},
    version: '1.2.3',
    out: async (result) => {
      out += typeof result === 'string' ? result : decoder.decode(result);
    },
    err: (text) => {
      err += text;
    },
    stdin: none,
    terminal: false,
    openLog: none,
    openStore: none,
    readStore: none,
    signal: new AbortController().signal,
    ...more,
  });
  return { code, out, err };
}
