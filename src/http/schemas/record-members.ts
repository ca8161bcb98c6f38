/** What records of the log say about listeners. */
import Type from 'typebox';

/** And about redrives. */
export const redriveMembers = {
  redriveOf: Type.Optional(Type.String({ description: 'The past event whose request it is again.' })),
  redrive: Type.Optional(Type.String({ description: 'Id of the redrive.' })),
  step: Type.Optional(Type.Integer({ description: 'Of the redrive: counts its records.' })),
  status: Type.Optional(Type.String({ description: 'Of the redrive.' })),
  wish: Type.Optional(Type.Unknown({ description: 'What the redrive was asked for.' })),
  progress: Type.Optional(Type.Unknown({ description: 'How far the redrive is.' })),
};

export const listenerMembers = {
  name: Type.Optional(Type.String({ description: 'Of the listener.' })),
  filter: Type.Optional(
    Type.Union([Type.Unknown(), Type.Null()], {
      description: 'Of the listener; null when it gets all events.',
    }),
  ),
  responder: Type.Optional(
    Type.Union([Type.Boolean(), Type.Integer(), Type.Null()], {
      description:
        'With `listenerSet`: whether it is one. With `unsubscribed`: number of the listener that is it from now on, or null.',
    }),
  ),
  listeners: Type.Optional(
    Type.Array(Type.Integer(), {
      description: 'Numbers of the listeners that get the event, the responder first. Left out: 0 alone.',
    }),
  ),
};
