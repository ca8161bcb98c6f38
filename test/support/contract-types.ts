/**
 * The schemas that the contract names, as TypeScript: the text of `src/sdk/wire.ts`. So what the SDK believes of replies is what
 * the service says of them, and nobody writes a type twice.
 */
import { parse } from 'yaml';

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly description?: string;
}

const OPENING = `/**
 * What the service answers, as types. Written by \`npm run openapi\` from the contract; not by hand.
 */
`;

export function contractTypes(yaml: string): string {
  const { components } = parse(yaml) as { components: { schemas: Record<string, Schema> } };
  const declarations = Object.entries(components.schemas).map(
    ([name, schema]) => `${comment(schema, '')}export interface ${name} ${typeOf(schema, '')}\n`,
  );
  return `${OPENING}\n${declarations.join('\n')}`;
}

function comment({ description }: Schema, indent: string): string {
  return description === undefined ? '' : `${indent}/** ${description} */\n`;
}

function typeOf(schema: Schema, indent: string): string {
  if (schema.$ref) return schema.$ref.split('/').at(-1)!;
  if (schema.enum) return unionOf(schema.enum.map(literal));
  if ('const' in schema) return literal(schema.const);
  if (schema.anyOf) return unionOf(schema.anyOf.map((each) => typeOf(each, indent)));
  switch (schema.type) {
    case 'integer':
    case 'number':
      return 'number';
    case 'string':
    case 'boolean':
    case 'null':
      return schema.type;
    case 'array':
      return arrayOf(schema, indent);
    case 'object':
      return objectOf(schema, indent);
    case undefined:
      return 'unknown';
    default:
      throw new Error(`A schema of type ${schema.type} has no type here yet.`);
  }
}

function unionOf(types: readonly string[]): string {
  return [...new Set(types)].join(' | ');
}

function literal(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : JSON.stringify(value);
}

function arrayOf({ items = {}, minItems, maxItems }: Schema, indent: string): string {
  const item = typeOf(items, indent);
  if (minItems !== undefined && minItems === maxItems) {
    return `readonly [${Array.from({ length: minItems }, () => item).join(', ')}]`;
  }
  return / \| |^readonly /.test(item) ? `readonly (${item})[]` : `readonly ${item}[]`;
}

function objectOf(schema: Schema, indent: string): string {
  const { properties = {}, required = [], additionalProperties, patternProperties } = schema;
  const inner = `${indent}  `;
  const lines = Object.entries(properties).map(([name, member]) => {
    const mark = required.includes(name) ? '' : '?';
    return `${comment(member, inner)}${inner}readonly ${name}${mark}: ${typeOf(member, inner)};\n`;
  });
  const [pattern] = Object.values(patternProperties ?? {});
  const others = pattern ?? (typeof additionalProperties === 'object' ? additionalProperties : null);
  if (others !== null) lines.push(`${inner}readonly [name: string]: ${typeOf(others, inner)};\n`);
  else if (additionalProperties === true) lines.push(`${inner}readonly [name: string]: unknown;\n`);
  return `{\n${lines.join('')}${indent}}`;
}
