/** Members that several answers have, and the values that their examples show. */
import Type from 'typebox';
import { nullable } from './reply.js';

export const EXAMPLE_ID = '0193f1c2-7b5a-7c3e-8000-5f2d9a1b4c6d';
export const EXAMPLE_TIME = '2026-11-23T08:00:00.000Z';
export const EXAMPLE_LINKS = {
  self: `/v1/events/${EXAMPLE_ID}`,
  request: `/v1/events/${EXAMPLE_ID}/request`,
  response: `/v1/events/${EXAMPLE_ID}/response`,
  attempts: `/v1/events/${EXAMPLE_ID}/attempts`,
  tree: `/v1/events/${EXAMPLE_ID}/tree`,
};
export const EXAMPLE_BODY = { value: 'hello' };

export const Id = Type.String({ format: 'uuid', description: 'UUIDv7 of the event.' });
export const TypeName = Type.String({ description: 'Type of the event.' });
export const Time = Type.String({ format: 'date-time' });
export const Status = Type.Enum(['pending', 'in_process', 'complete'], {
  description: 'Where the event is.',
});
export const Outcome = nullable(Type.Enum(['success', 'fail']), 'How it went; null until complete.');
export const Reason = nullable(
  Type.Enum(['listener', 'attempts_exhausted', 'deadline', 'cancelled', 'unmatched']),
  'Why it failed; null when it did not.',
);
export const Encoding = Type.Enum(['json', 'text', 'base64'], {
  description: '`json`: the body is a JSON value, in the text it came as. `text`: a string. `base64`: bytes.',
});
export const Body = Type.Unknown({ description: 'The body, see `bodyEncoding`.' });
export const Position = Type.String({ description: 'Place of the event in the log.' });
export const HeaderPairs = Type.Array(Type.Array(Type.String(), { minItems: 2, maxItems: 2 }), {
  description: 'Pairs of name, in lower case, and value, in the order they came.',
});
