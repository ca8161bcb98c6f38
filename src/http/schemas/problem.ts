/** What a call answers when it refuses: problem details, and which codes a route may give. */
import Type from 'typebox';
import { ERRORS, type ErrorCode } from '../../errors.js';
import { STATUS } from '../error-reply.js';
import { EXAMPLE_ID } from './members.js';
import { ref } from './reply.js';

export const Problem = Type.Object(
  {
    type: Type.String({ description: 'A URN made of the code.' }),
    title: Type.String(),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    detail: Type.String({ description: 'What is wrong, for people.' }),
    code: Type.Enum(Object.keys(ERRORS), { description: 'What is wrong, for programs. Stable.' }),
    hint: Type.Optional(Type.String({ description: 'What to do about it.' })),
    instance: Type.Optional(Type.String({ description: 'The path that was asked for.' })),
    requestId: Type.Optional(Type.String({ description: 'The request, in the log of the service.' })),
  },
  {
    $id: 'Problem',
    additionalProperties: true,
    description: 'Problem details (RFC 9457). Some codes have further members.',
    examples: [
      {
        type: 'urn:clockwork:error:event-not-found',
        title: 'Event not found',
        status: 404,
        detail: 'No event has this id.',
        code: 'event-not-found',
        instance: `/v1/events/${EXAMPLE_ID}`,
        requestId: '5f2d9a1b-1a',
        eventId: EXAMPLE_ID,
      },
    ],
  },
);

const ALWAYS: readonly ErrorCode[] = ['invalid-request', 'internal-error'];
const OF_THE_STORE: readonly ErrorCode[] = ['store-unavailable', 'store-recovering', 'shutting-down'];

/** The replies for `codes` and those that any call may get, by status, each saying which codes it stands for. */
export function problems(...codes: readonly ErrorCode[]): Record<number, object> {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of new Set([...codes, ...ALWAYS, ...OF_THE_STORE])) {
    byStatus.set(STATUS[code], [...(byStatus.get(STATUS[code]) ?? []), code]);
  }
  const replies = [...byStatus].map(([status, those]) => {
    const description = `Codes: ${those.map((code) => `\`${code}\``).join(', ')}.`;
    return [status, { description, content: { 'application/problem+json': { schema: ref('Problem') } } }];
  });
  return Object.fromEntries(replies);
}
