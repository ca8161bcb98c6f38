/** A record of the log as a reader gets it. */
import Type from 'typebox';
import { LOG_OPS } from '../../log/record-line.js';
import { EXAMPLE_ID, EXAMPLE_TIME, Id, Reason, Time, TypeName } from './members.js';
import { listenerMembers, redriveMembers } from './record-members.js';
import { named, nullable, ref } from './reply.js';
import { envelopeFields, leasedEventExample } from './shown-lease.js';

const { id: _id, type: _type, createdAt: _createdAt, ...requestExample } = leasedEventExample;

export const LogRecord = named(
  'LogRecord',
  {
    partition: Type.Integer({ description: 'Within it, records are in order.' }),
    position: Type.String({
      description: 'Place of the record; `position` of an event is that of its `accepted`.',
    }),
    at: Time,
    op: Type.Enum(LOG_OPS, { description: 'What happened.' }),
    type: TypeName,
    id: Type.Optional(Id),
    ordinal: Type.Optional(
      Type.Integer({ description: 'Number of the type in its partition, or of the listener in its type.' }),
    ),
    version: Type.Optional(Type.Integer({ description: 'Of the type.' })),
    policy: Type.Optional(nullable(Type.Unknown(), 'What is declared of the type; null when nothing is.')),
    paused: Type.Optional(Type.Boolean({ description: 'Nothing of the type is leased.' })),
    ...listenerMembers,
    ...redriveMembers,
    dueAt: Type.Optional(Time),
    deadline: Type.Optional(Time),
    durability: Type.Optional(Type.Literal('archive')),
    idempotentUntil: Type.Optional(nullable(Time, 'Until when its idempotency key is remembered.')),
    key: Type.Optional(Type.String({ description: 'The ordering key.' })),
    parent: Type.Optional(Id),
    root: Type.Optional(Id),
    emitted: Type.Optional(Type.Array(Id, { description: 'Events that the completion emitted.' })),
    child: Type.Optional(
      Type.String({ description: 'An emitted event whose type lives in another partition.' }),
    ),
    childType: Type.Optional(TypeName),
    request: Type.Optional(
      Type.Object(
        { ...envelopeFields },
        { additionalProperties: false, description: 'What came, as a lease shows it.' },
      ),
    ),
    listener: Type.Optional(Type.Integer({ description: 'Number of the listener within the type.' })),
    grant: Type.Optional(Type.Integer({ description: 'Counts all leases of the event.' })),
    attempt: Type.Optional(Type.Integer({ description: 'Counts those not handed back.' })),
    worker: Type.Optional(nullable(Type.String())),
    expiresAt: Type.Optional(Time),
    index: Type.Optional(Type.Integer({ description: 'Which part of the index of the log has the event.' })),
    why: Type.Optional(Type.Enum(['expired', 'failed'])),
    outcome: Type.Optional(Type.Enum(['success', 'fail'])),
    reason: Type.Optional(Reason),
    result: Type.Optional(Type.Union([ref('Result'), Type.Null()])),
  },
  {
    description: 'One thing that happened. Which members there are follows from `op`.',
    examples: [
      {
        partition: 0,
        position: '1-7',
        at: EXAMPLE_TIME,
        op: 'accepted',
        type: 'invoice.paid',
        id: EXAMPLE_ID,
        dueAt: EXAMPLE_TIME,
        idempotentUntil: null,
        request: requestExample,
      },
    ],
  },
);
