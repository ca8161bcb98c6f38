/** Holds replies against the contract: status, media type and shape must be what the document says. */
import type { TSchema } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';

interface Operation {
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: TSchema }>> }>
  >;
}

export interface Contract {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, TSchema>> };
}

export interface Seen {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly status: number;
  readonly contentType: string | undefined;
  readonly text: string;
}

export class ContractCheck {
  readonly #validators = new Map<TSchema, Validator>();
  readonly #named: Record<string, TSchema>;

  constructor(private readonly contract: Contract) {
    const schemas = Object.entries(contract.components.schemas);
    this.#named = Object.fromEntries(
      schemas.map(([name, schema]) => [`#/components/schemas/${name}`, schema]),
    );
  }

  /** What is wrong with the reply, or null. Of calls that are not in the contract nothing is said. */
  faultOf(seen: Seen): string | null {
    const operation = this.#operationOf(seen);
    if (operation === null || seen.method === 'HEAD' || seen.text.includes('"code":"route-not-found"'))
      return null;
    const said = operation.responses[seen.status] ?? operation.responses['default'];
    const call = `${seen.method} ${seen.path} → ${seen.status}`;
    if (said === undefined) return `${call}: the contract does not know this status`;
    if (said.content === undefined) return seen.text === '' ? null : `${call}: there should be no body`;
    const mediaType = (seen.contentType ?? '').split(';', 1)[0]!;
    const content = said.content[mediaType] ?? said.content['*/*'];
    if (content === undefined) return `${call}: the contract does not know ${mediaType}`;
    if (!mediaType.endsWith('json') || said.content[mediaType] === undefined) return null;
    return this.#shapeFault(content.schema, seen.text, call);
  }

  #operationOf({ method, path }: Seen): Operation | null {
    for (const [template, operations] of Object.entries(this.contract.paths)) {
      const pattern = template.replace(/\{path\}$/, '.*').replace(/\{\w+\}/g, '[^/]+');
      const operation = operations[method.toLowerCase()];
      if (operation && new RegExp(`^${pattern}$`).test(path)) return operation;
    }
    return null;
  }

  #shapeFault(schema: TSchema, text: string, call: string): string | null {
    let validator = this.#validators.get(schema);
    if (!validator) {
      validator = Compile(this.#named, schema) as unknown as Validator;
      this.#validators.set(schema, validator);
    }
    const value: unknown = JSON.parse(text);
    if (validator.Check(value)) return null;
    return `${call}: ${JSON.stringify(validator.Errors(value)).slice(0, 2_000)}\n${text.slice(0, 2_000)}`;
  }
}
