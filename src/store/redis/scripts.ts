/**
 * Loads the Lua scripts from the folder beside this file; a new script is a new file there. A line `--@keys a b` names the
 * constant keys that a script needs: it finds them as A and B, then others from KEYS[CONSTANT_KEYS + 1] on, and the
 * caller sends them without being told twice. A line `--@include x` stands for include/x.lua, once a script. A line
 * `--@word X` makes X the word that the script is loaded under, see `loadedUnder`.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { KEY_NAMES, type KeyName } from './keys.js';

export interface Script {
  readonly name: string;
  readonly source: string;
  /** SHA-1, as EVALSHA wants it. */
  readonly sha: string;
  readonly keys: readonly KeyName[];
  /** It runs behind the gate, and only as `loadedUnder` the gate's word. */
  readonly gated: boolean;
}

export type Scripts = ReadonlyMap<string, Script>;

/** Gives the text to use for a file, named like `accept` or `include/clock`. For tests. */
export type Edit = (file: string, text: string) => string;

/** Stands for the gate's word in a script that is not loaded yet. */
const WORD = 'word of the gate';
const FOLDER = fileURLToPath(new URL('./lua/', import.meta.url));

export function loadScripts(edit: Edit = (_file, text) => text): Scripts {
  const scripts = new Map<string, Script>();
  for (const entry of readdirSync(FOLDER)) {
    if (!entry.endsWith('.lua')) continue;
    const name = entry.slice(0, -'.lua'.length);
    scripts.set(name, assemble(name, edit));
  }
  return scripts;
}

function assemble(name: string, edit: Edit): Script {
  const text = readLua(name, edit);
  // The first line says what Redis has to know and must stay the first.
  const [shebang, ...lines] = text.split('\n');
  if (!shebang?.startsWith('#!lua')) throw new Error(`${name}.lua does not begin with #!lua`);
  const declared = lines.find((line) => line.startsWith('--@keys '));
  if (!declared) throw new Error(`${name}.lua does not declare its keys`);
  const keys = declared.slice('--@keys '.length).trim().split(/\s+/).map(keyName);
  const source = [shebang, keysInLua(keys), inlined(expand(lines, edit, new Set()))].join('\n');
  return { name, source, sha: shaOf(source), keys, gated: source.includes(WORD) };
}

/** The script with the gate's word in its text: under another word it is another script. */
export function loadedUnder(script: Script, word: string): Script {
  const source = script.source.replace(WORD, word);
  return { ...script, source, sha: shaOf(source) };
}

function shaOf(source: string): string {
  return createHash('sha1').update(source).digest('hex');
}

function expand(lines: readonly string[], edit: Edit, included: Set<string>): string[] {
  return lines.flatMap((line) => {
    if (line.startsWith('--@keys ')) return [];
    const word = /^--@word (\S+)$/.exec(line)?.[1];
    if (word !== undefined) return [`local ${word} = '${WORD}'`];
    const include = /^--@include (\S+)$/.exec(line)?.[1];
    if (include === undefined) return [line];
    if (included.has(include)) return [];
    included.add(include);
    return expand(readLua(`include/${include}`, edit).split('\n'), edit, included);
  });
}

const CONSTANTS = /^local ((?:[A-Z][A-Z0-9_]*, )*[A-Z][A-Z0-9_]*) = ((?:-?\d+, )*-?\d+)$/;
const WORDS = /'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|--.*|\b[A-Z][A-Z0-9_]*\b/g;

/** Puts the values of constants in the places of their names: a script may have no more than 200 variables. */
function inlined(lines: readonly string[]): string {
  const values = new Map<string, string>();
  const rest = lines.map((line) => {
    const [, names, numbers] = CONSTANTS.exec(line) ?? [];
    if (names === undefined || numbers === undefined) return line;
    const each = numbers.split(', ');
    for (const [index, name] of names.split(', ').entries()) {
      const known = values.get(name);
      if (known !== undefined && known !== each[index]) throw new Error(`two constants are called ${name}`);
      values.set(name, each[index] ?? 'nil');
    }
    return '';
  });
  for (const [, name = ''] of rest.join('\n').matchAll(/\blocal ([A-Z][A-Z0-9_]*)\b/g))
    if (values.has(name)) throw new Error(`${name} is a constant, and a variable too`);
  return rest.map((line) => line.replace(WORDS, (word) => values.get(word) ?? word)).join('\n');
}

function readLua(file: string, edit: Edit): string {
  return edit(file, readFileSync(`${FOLDER}${file}.lua`, 'utf8').replaceAll('\r\n', '\n'));
}

function keyName(name: string): KeyName {
  const known = KEY_NAMES.find((each) => each === name);
  if (!known) throw new Error(`a script declares a key that there is not: ${name}`);
  return known;
}

function keysInLua(keys: readonly KeyName[]): string {
  const names = keys.map((key) => key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase());
  const values = keys.map((_key, index) => `KEYS[${index + 1}]`);
  return `local ${names.join(', ')} = ${values.join(', ')}\nlocal CONSTANT_KEYS = ${keys.length}`;
}
