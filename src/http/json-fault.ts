/**
 * Where text stops being JSON. `JSON.parse` says whether, and only sometimes where, in words that differ between
 * versions of Node; so the place is looked for here, by the grammar of RFC 8259, once it is known to be missing.
 */

export interface JsonFault {
  /** In characters from 0. */
  readonly offset: number;
  /** From 1. */
  readonly line: number;
  readonly column: number;
  /** What stands there or what is missing there. */
  readonly message: string;
}

const SPACE = /[ \t\r\n]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON allows no raw control character in a string.
const STRING_PART = /(?:[^"\\\u0000-\u001f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}){0,4096}/y;

type Expect = 'value' | 'first element' | 'first key' | 'key' | 'colon' | 'comma or end';

/** The first place where `text` breaks the grammar, or null when it is JSON. */
export function findJsonFault(text: string): JsonFault | null {
  return new Finder(text).find();
}

class Finder {
  private at = 0;
  /** What closes the containers that are open, innermost last. */
  private readonly open: ('}' | ']')[] = [];
  private expect: Expect = 'value';

  constructor(private readonly text: string) {}

  find(): JsonFault | null {
    for (;;) {
      this.skip(SPACE);
      if (this.expect === 'comma or end' && this.open.length === 0) {
        return this.at === this.text.length ? null : this.fault();
      }
      if (this.at >= this.text.length || !this.step()) return this.fault();
    }
  }

  /** Takes one token; false when it is not what may stand here. */
  private step(): boolean {
    const char = this.text[this.at]!;
    switch (this.expect) {
      case 'first key':
      case 'key':
        if (char === '}' && this.expect === 'first key') return this.close();
        return this.string() && this.next('colon');
      case 'colon':
        return this.char(':') && this.next('value');
      case 'comma or end':
        if (char === this.open.at(-1)) return this.close();
        return this.char(',') && this.next(this.open.at(-1) === '}' ? 'key' : 'value');
      case 'first element':
        if (char === ']') return this.close();
        return this.value(char);
      case 'value':
        return this.value(char);
    }
  }

  private value(char: string): boolean {
    if (char === '{' || char === '[') {
      this.at += 1;
      this.open.push(char === '{' ? '}' : ']');
      return this.next(char === '{' ? 'first key' : 'first element');
    }
    const taken = char === '"' ? this.string() : this.skip(NUMBER) || this.skip(WORD);
    return taken && this.next('comma or end');
  }

  private close(): boolean {
    this.open.pop();
    this.at += 1;
    return this.next('comma or end');
  }

  private string(): boolean {
    if (!this.char('"')) return false;
    // In pieces: one regular expression over a long string would exhaust the stack of the matcher.
    while (this.skip(STRING_PART)) {}
    return this.char('"');
  }

  private char(char: string): boolean {
    if (this.text[this.at] !== char) return false;
    this.at += 1;
    return true;
  }

  private skip(pattern: RegExp): boolean {
    pattern.lastIndex = this.at;
    const [taken = ''] = pattern.exec(this.text) ?? [];
    this.at += taken.length;
    return taken.length > 0;
  }

  private next(expect: Expect): true {
    this.expect = expect;
    return true;
  }

  private fault(): JsonFault {
    const before = this.text.slice(0, this.at);
    const line = before.split('\n').length;
    const column = this.at - before.lastIndexOf('\n');
    const point = this.text.codePointAt(this.at);
    const message =
      point === undefined ? 'it ends too early' : `unexpected ${JSON.stringify(String.fromCodePoint(point))}`;
    return { offset: this.at, line, column, message };
  }
}
