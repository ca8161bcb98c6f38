/** The help of every command, as it stands in `docs/cli.md`. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { CliContext } from '../../src/cli/context.js';
import { commandsOf, wholeProgram } from '../../src/cli/program.js';

const PATH = 'docs/cli.md';
const [BEGIN, END] = ['<!-- help -->', '<!-- /help -->'];

export function cliDocument(): string {
  return readFileSync(PATH, 'utf8');
}

/** The document with the help as it should be, between two comments. */
export async function withHelp(document: string): Promise<string> {
  const program = await wholeProgram({ err: () => undefined, version: '' } as unknown as CliContext);
  const parts = commandsOf(program).map((command) => {
    let help = '';
    command.configureOutput({ writeOut: (text) => (help += text) });
    command.outputHelp();
    return `### ${help.match(/^Usage: (\S+(?: [a-z-]+)*)/)?.[1]}\n\n\`\`\`\n${help.trimEnd()}\n\`\`\`\n`;
  });
  const [before, rest] = document.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`${PATH} has no place for the help`);
  return `${before}${BEGIN}\n\n${parts.join('\n')}\n${END}${after}`;
}

/** `node dist/test/support/cli-doc.js` writes it anew. */
if (process.argv[1]?.endsWith('cli-doc.js')) writeFileSync(PATH, await withHelp(cliDocument()));
