/**
 * The compiled modules of `src/log` as a copy in which text may be replaced: to plant a mistake without the code
 * having a switch for it, and to leave compression out where it decides nothing and costs most of the time.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Archiver } from '../../src/log/archiver.js';
import type { dropOldCheckpoints, makeCheckpoint } from '../../src/log/checkpoint-maker.js';
import type { LogReader } from '../../src/log/reader.js';
import type { cutLog } from '../../src/log/retention.js';
import type { encodeSegment } from '../../src/log/segment.js';

const LOG = fileURLToPath(new URL('../../src/log/', import.meta.url));

export interface Edit {
  /** Of `src/log`, without its ending. */
  readonly module: string;
  readonly from: string;
  readonly to: string;
}

/** What simulations take from there. */
export interface EditedLog {
  readonly Archiver: typeof Archiver;
  readonly LogReader: typeof LogReader;
  readonly makeCheckpoint: typeof makeCheckpoint;
  readonly dropOldCheckpoints: typeof dropOldCheckpoints;
  readonly cutLog: typeof cutLog;
  readonly encodeSegment: typeof encodeSegment;
}

const MODULES = ['archiver', 'reader', 'checkpoint-maker', 'retention', 'segment'];

/** Stands in for `node:zlib`: what it is given, as it is. */
const NO_COMPRESSION = `
export const constants = { Z_BEST_SPEED: 1 };
export const gzip = (bytes, options, done) => done(null, bytes);
export const gunzip = gzip;
`;

/** Throws when the text of an edit is not there once: the code has changed, and the mistake must be planted anew. */
export async function importEdited(edits: readonly Edit[]): Promise<EditedLog> {
  const dir = mkdtempSync(join(tmpdir(), 'clockwork-edited-'));
  try {
    writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
    writeFileSync(join(dir, 'no-zlib.js'), NO_COMPRESSION);
    const parent = pathToFileURL(join(LOG, '..')).href;
    for (const name of readdirSync(LOG).filter((each) => each.endsWith('.js'))) {
      let text = readFileSync(join(LOG, name), 'utf8');
      for (const { module, from, to } of edits) {
        if (`${module}.js` !== name) continue;
        if (text.split(from).length !== 2) throw new Error(`not once in ${name}: ${from}`);
        text = text.replace(from, () => to);
      }
      text = text.replaceAll(`from '../`, `from '${parent}/`).replace(`'node:zlib'`, `'./no-zlib.js'`);
      writeFileSync(join(dir, name), text);
    }
    const modules = await Promise.all(
      MODULES.map((name) => import(pathToFileURL(join(dir, `${name}.js`)).href)),
    );
    return Object.assign({}, ...modules) as EditedLog;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
