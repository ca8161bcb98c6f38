/** The compiled core and the machine that watches it, as a copy in which text may be replaced: to plant a mistake. */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { CoreMachine } from '../event/core-machine.js';

const DIST = fileURLToPath(new URL('../../', import.meta.url));

export interface CoreMistake {
  readonly name: string;
  /** Of `src/event`, without its ending. */
  readonly module: string;
  readonly from: string;
  readonly to: string;
}

/** Throws when the text is not there once: the code has changed, and the mistake must be planted anew. */
export async function importMachineWith({ module, from, to }: CoreMistake): Promise<typeof CoreMachine> {
  const dir = mkdtempSync(join(tmpdir(), 'clockwork-core-'));
  try {
    writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
    symlinkSync(join(DIST, '..', 'node_modules'), join(dir, 'node_modules'));
    for (const folder of ['src/event', 'src/store', 'test/event', 'test/support'])
      cpSync(join(DIST, folder), join(dir, folder), { recursive: true });
    const path = join(dir, 'src/event', `${module}.js`);
    const text = readFileSync(path, 'utf8');
    if (text.split(from).length !== 2) throw new Error(`not once in ${module}: ${from}`);
    writeFileSync(
      path,
      text.replace(from, () => to),
    );
    const machine = pathToFileURL(join(dir, 'test/event/core-machine.js')).href;
    return ((await import(machine)) as { CoreMachine: typeof CoreMachine }).CoreMachine;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
