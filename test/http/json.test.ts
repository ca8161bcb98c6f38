/** JSON bodies are looked at and kept as they came: what is refused is refused with its place. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { ClockworkError } from '../../src/errors.js';
import { classifyBody, classifyLeniently, mediaTypeOf } from '../../src/http/body.js';
import { textAt } from '../../src/http/bulk.js';
import { isDeep } from '../../src/http/json-depth.js';
import { findJsonFault } from '../../src/http/json-fault.js';
import { depthOf, elementsOf, membersOf, rootSpan, type Span } from '../../src/http/json-scan.js';
import { nameFault } from '../../src/http/names.js';
import { preferredWaitMs } from '../../src/http/prefer.js';

const DEPTH = 64;

/** The same documents each time; `SEED` looks elsewhere. */
const SEED = Number(process.env['SEED'] ?? 1);

/** A value's text, and what is in it: what the spans are to find, known without asking a parser. */
interface Node {
  readonly text: string;
  readonly elements?: readonly Node[];
  /** Of members with the same key the last. */
  readonly members?: ReadonlyMap<string, Node>;
}

/** JSON text that `JSON.stringify` would never write: white space, escapes, doubles, numbers of every form. */
const space = fc.stringMatching(/^[ \t\r\n]{0,2}$/);
const scalar = fc.oneof(
  fc.constantFrom('true', 'false', 'null'),
  fc.constantFrom('0', '-0', '1.0', '1e3', '9007199254740993', '-1.50E-7', '0.10'),
  fc.integer().map(String),
);
/** Texts of strings and what they say. */
const string = fc.oneof(
  fc.string({ unit: 'binary' }).map((says): [text: string, says: string] => [JSON.stringify(says), says]),
  fc.constantFrom<[text: string, says: string]>(
    ['"\\\\"', '\\'],
    ['"\\""', '"'],
    ['"\\u0022,]}"', '",]}'],
    ['"\\/"', '/'],
    ['""', ''],
    ['"{[:,"', '{[:,'],
    ['"\\\\\\""', '\\"'],
    ['"\u2028"', '\u2028'],
  ),
);
const key = fc.oneof(
  fc.constantFrom<[text: string, says: string]>(
    ['"a"', 'a'],
    ['"b"', 'b'],
    ['"\\u0061"', 'a'],
    ['""', ''],
    ['"body"', 'body'],
    ['"__proto__"', '__proto__'],
  ),
  string,
);
const { value: anyJson } = fc.letrec<{ value: Node; array: Node; object: Node }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    scalar.map((text) => ({ text })),
    string.map(([text]) => ({ text })),
    tie('array'),
    tie('object'),
  ),
  array: fc
    .tuple(space, fc.array(fc.tuple(space, tie('value'), space), { maxLength: 4 }))
    .map(([inner, items]) => ({
      text: `[${items.map(([before, { text }, after]) => before + text + after).join(',') || inner}]`,
      elements: items.map(([, node]) => node),
    })),
  object: fc
    .tuple(
      space,
      fc.array(fc.tuple(fc.array(space, { minLength: 4, maxLength: 4 }), key, tie('value')), {
        maxLength: 4,
      }),
    )
    .map(([inner, items]) => ({
      text: `{${items.map(([gaps, [name], { text }]) => `${gaps[0]}${name}${gaps[1]}:${gaps[2]}${text}${gaps[3]}`).join(',') || inner}}`,
      members: new Map(items.map(([, [, name], node]) => [name, node])),
    })),
}));
const placed = fc.tuple(space, anyJson, space);
const document = placed.map(([before, { text }, after]) => before + text + after);

function cut(text: string, { start, end }: Span): string {
  return text.slice(start, end);
}

/** The spans are where the values were put, all the way down. */
function assertSpans(text: string, span: Span, node: Node): void {
  assert.equal(cut(text, span), node.text);
  if (node.elements) {
    const spans = elementsOf(text, span);
    assert.equal(spans.length, node.elements.length);
    for (const [at, each] of node.elements.entries()) assertSpans(text, spans[at]!, each);
  }
  if (node.members) {
    const spans = membersOf(text, span);
    assert.deepEqual([...spans.keys()].sort(), [...node.members.keys()].sort());
    for (const [name, each] of node.members) assertSpans(text, spans.get(name)!, each);
  }
}

t.test('the spans of any JSON are where its values are', async (t) => {
  fc.assert(
    fc.property(placed, ([before, node, after]) => {
      const text = before + node.text + after;
      assertSpans(text, rootSpan(text), node);
    }),
    { numRuns: 500, seed: SEED },
  );
  t.pass('500 documents');
});

t.test('a value is cut out as the text it came as', async (t) => {
  const body = '{ "n" : 9007199254740993, "x":1.0,"x":2 , "s":"\\u00e9\\"}]" }';
  const item = ` {"type":"a", "body" :${body} ,"z":[]} `;
  t.equal(textAt(item, ['body']), body);
  t.equal(textAt(item, ['body', 'n']), '9007199254740993');
  t.equal(textAt(item, ['body', 'x']), '2', 'of doubles the last, as for the parser');
  t.equal(textAt(item, ['none', 'x']), '');
  t.equal(textAt('{"\\u0062ody":1}', ['body']), '1', 'a key may be escaped');
});

t.test('depth is counted as far as asked, in text of any depth, without a stack', async (t) => {
  const deep = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
  t.equal(depthOf('1', DEPTH), 0);
  t.equal(depthOf('"[[["', DEPTH), 0);
  t.equal(depthOf('[{"a":[]},[]]', DEPTH), 3);
  t.equal(isDeep(deep(64), DEPTH), false);
  t.equal(isDeep(deep(65), DEPTH), true);
  t.equal(isDeep(`[${'[],'.repeat(200)}1]`, DEPTH), false, 'wide is not deep');
  t.equal(isDeep(deep(1_000_000), DEPTH), true);
  t.same(cut(deep(100_000), rootSpan(deep(100_000))).length, 200_000);
});

t.test('a fault is found exactly where JSON.parse finds one', async (t) => {
  const damaged = fc
    .tuple(
      document,
      fc.nat(),
      fc.constantFrom('', ',', '}', ']', '"', 'x', '\\', ':', '\u0001', '1', ' '),
      fc.boolean(),
    )
    .map(([text, place, piece, replace]) => {
      const at = place % (text.length + 1);
      return text.slice(0, at) + piece + text.slice(replace ? at + 1 : at);
    });
  const parses = (text: string) => {
    try {
      JSON.parse(text);
      return true;
    } catch {
      return false;
    }
  };
  fc.assert(
    fc.property(damaged, (text) => {
      const fault = findJsonFault(text);
      if ((fault === null) !== parses(text)) return false;
      // Up to the fault the text could still have become JSON.
      return fault === null || fault.offset <= text.length;
    }),
    { numRuns: 3_000, seed: SEED },
  );
  t.match(findJsonFault('{"a":1,\n "b":}'), { offset: 13, line: 2, column: 6, message: 'unexpected "}"' });
  t.match(findJsonFault('[1,2'), { offset: 4, line: 1, column: 5, message: 'it ends too early' });
  t.match(findJsonFault('[1,]'), { offset: 3 });
  t.match(findJsonFault('{"a" 1}'), { offset: 5 });
  t.match(findJsonFault('01'), { offset: 1 });
  t.match(findJsonFault('"\\x"'), { offset: 1 });
  t.equal(findJsonFault(`"${'a'.repeat(5_000_000)}"`), null, 'a long string does not exhaust the matcher');
});

t.test('a body is classified by what it says and what it is', async (t) => {
  const classify = (body: string | Buffer, type: string | null, encoding?: string) =>
    classifyBody(Buffer.from(body as string), type, encoding, DEPTH);
  t.equal(classify('{}', 'application/json'), 'json');
  t.equal(classify('{}', 'application/vnd.api+json; charset=UTF-8'), 'json');
  t.equal(classify('hello', 'text/plain'), 'text');
  t.equal(classify('a=1', 'application/x-www-form-urlencoded'), 'text');
  t.equal(classify('<a/>', 'application/atom+xml'), 'text');
  t.equal(classify(Buffer.from([0xff, 0xfe]), 'text/plain'), 'base64', 'text that is not UTF-8 is bytes');
  t.equal(classify('x', 'text/plain; charset=iso-8859-1'), 'base64', 'text of another charset is bytes');
  t.equal(classify('{}', 'application/json; charset=utf-16'), 'base64');
  t.equal(classify('x', 'image/png'), 'base64');
  t.equal(classify('x', null), 'base64');
  t.equal(classify('not json', 'application/json', 'gzip'), 'base64', 'what is packed is not looked into');
  t.equal(classify('', 'application/json'), 'text', 'nothing is nothing, whatever it says');
  t.equal(classify('['.repeat(10_000) + ']'.repeat(10_000), 'application/json'), 'base64');
  t.equal(classifyLeniently(Buffer.from('{'), 'application/json', DEPTH), 'base64');
  t.equal(mediaTypeOf(' Text/HTML ; charset=x'), 'text/html');
});

t.test('JSON that is none is refused with the place', async (t) => {
  const refusal = (body: string | Buffer) => {
    try {
      classifyBody(Buffer.from(body as string), 'application/json', undefined, DEPTH);
      return null;
    } catch (error) {
      return error instanceof ClockworkError ? { code: error.code, ...error.members } : error;
    }
  };
  t.match(refusal('{"a":\n1,}'), { code: 'invalid-json', line: 2, column: 3, offset: 8 });
  t.match(refusal('\ufeff{}'), { code: 'invalid-json', offset: 0 });
  t.match(refusal(Buffer.from('{"a":"\xe9"}', 'latin1')), { code: 'invalid-json', offset: 6, column: 7 });
  t.match(refusal('{"__proto__":1}'), { code: 'unsafe-json' });
  t.match(refusal('[{"a":{"\\u005f_proto__":1}}]'), { code: 'unsafe-json' }, 'also when escaped');
  t.match(refusal('{"constructor":{"prototype":1}}'), { code: 'unsafe-json' });
  t.equal(refusal('{"constructor":1,"a":"__proto__"}'), null, 'the words alone do no harm');
});

t.test('a name may be anything that is safe to write', async (t) => {
  const fault = (name: string) => nameFault(name, 256);
  for (const name of ['a', 'a/b', '../x', '{a}', 'a\r\nb', 'ключ', '😀', ' ', '%2F', '*', 'x'.repeat(256)]) {
    t.equal(fault(name), null, JSON.stringify(name).slice(0, 20));
  }
  for (const name of ['', '.', '..', 'a\0b', '\ud800', 'a\udc00', 'x'.repeat(257), 'é'.repeat(129)]) {
    t.type(fault(name), 'string', JSON.stringify(name).slice(0, 20));
  }
  t.equal(fault('é'.repeat(128)), null);
});

t.test('Prefer says how long to wait', async (t) => {
  const wait = (prefer: string | string[] | undefined) => preferredWaitMs(prefer, 25_000);
  t.equal(wait(undefined), null);
  t.equal(wait('respond-async'), null);
  t.equal(wait('wait=10'), 10_000);
  t.equal(wait('respond-async, WAIT = 3; x=y'), 3_000);
  t.equal(wait(['handling=lenient', 'wait="7"']), 7_000);
  t.equal(wait('wait=26'), 25_000, 'no longer than the limit');
  t.equal(wait('wait=0'), 0);
  t.equal(wait('await=5'), null);
  t.equal(wait('wait=-1'), null);
  t.equal(wait('foo="a, wait=5"'), null, 'what is quoted is a value');
});
