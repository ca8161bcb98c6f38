/** How the schemas of answers are written: named, referred to, and as the replies of a route. */
import Type, { type TSchema } from 'typebox';

/** A schema that others refer to by its name. */
export function named(name: string, fields: Record<string, TSchema>, options: object): TSchema {
  return Type.Object(fields, { $id: name, additionalProperties: false, ...options });
}

export function ref(name: string): TSchema {
  return Type.Ref(`${name}#`);
}

export function nullable(schema: TSchema, description?: string): TSchema {
  return Type.Union([schema, Type.Null()], description === undefined ? {} : { description });
}

/** A reply of JSON. */
export function jsonReply(description: string, schema: TSchema, headers?: Record<string, TSchema>): object {
  const reply = { description, content: { 'application/json': { schema } } };
  return headers === undefined ? reply : { ...reply, headers };
}
