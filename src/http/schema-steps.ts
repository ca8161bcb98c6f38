/**
 * What a check by a JSON Schema may cost. References multiply: ten that each lead twice to the next are a thousand checks,
 * thirty a thousand million, and one that leads to its own place never ends. So each check of a value by a part of the schema
 * is a step, counted as it is made, and a check that takes too many of them is broken off; also one that takes long for all
 that, since the validator collects what did not fit in lists that it copies.
 */
import type { Ajv2020 } from 'ajv/dist/2020.js';

/** A check took more steps, or longer, than it may. */
export class TooManySteps extends Error {}

/** Stands in each part of a counted schema, and says what one check by it weighs. */
const KEYWORD = 'clockwork:steps';

/** By keyword: a part, a list of parts, or parts by name. */
const PARTS = new Set([
  'additionalProperties',
  'unevaluatedProperties',
  'items',
  'unevaluatedItems',
  'contains',
  'propertyNames',
  'not',
  'if',
  'then',
  'else',
  'contentSchema',
]);
const LISTS = new Set(['prefixItems', 'allOf', 'anyOf', 'oneOf']);
const MAPS = new Set(['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas']);
const VALUES = new Set(['const', 'enum']);
const REFERENCES = ['$ref', '$dynamicRef', '$recursiveRef'];
/** A pattern costs what it weighs times the text that it looks at. */
const PATTERN_CHARACTERS_A_STEP = 50;

type Members = Record<string, unknown>;

/** Whoever shares the processor does not make a check longer. */
const CPU_MS_MAX = 2_000;
const STEPS_A_LOOK = 128;

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** Counts the steps of one check after the other. */
export class Steps {
  #left = 0;
  #untilTheClock = 0;
  #endsAtMs = 0;

  constructor(ajv: Ajv2020) {
    ajv.addKeyword({
      keyword: KEYWORD,
      schemaType: 'number',
      errors: false,
      // What fails is not looked at any further, so it counts before it leads anywhere.
      before: '$ref',
      validate: (weight: number, value: unknown, part?: Members) => this.#take(weight, value, part),
    });
  }

  /** What `check` gives; throws `TooManySteps` when it takes more of them than `stepsMax`. */
  within<Result>(stepsMax: number, check: () => Result): Result {
    this.#left = stepsMax;
    this.#untilTheClock = STEPS_A_LOOK;
    this.#endsAtMs = cpuMs() + CPU_MS_MAX;
    try {
      return check();
    } catch (error) {
      // What leads to itself may come to the end of the stack first.
      throw error instanceof RangeError ? new TooManySteps() : error;
    }
  }

  #take(weight: number, value: unknown, part: Members = {}): true {
    this.#left -= weight;
    if (typeof value === 'string') this.#left -= patternSteps(part['pattern'], value.length);
    else if (isMembers(value) && isMembers(part['patternProperties']))
      this.#left -= Object.keys(value).length * Object.keys(part['patternProperties']).length;
    if (this.#left < 0 || this.#isOverdue()) throw new TooManySteps();
    return true;
  }

  #isOverdue(): boolean {
    this.#untilTheClock -= 1;
    if (this.#untilTheClock > 0) return false;
    this.#untilTheClock = STEPS_A_LOOK;
    return cpuMs() > this.#endsAtMs;
  }
}

function patternSteps(pattern: unknown, characters: number): number {
  return typeof pattern === 'string' ? (pattern.length * characters) / PATTERN_CHARACTERS_A_STEP : 0;
}

/** The same schema, whose checks are counted. Throws when a part could not be. */
export function countedSchema(schema: unknown): unknown {
  if (!isMembers(schema)) return schema;
  if (Object.hasOwn(schema, KEYWORD)) throw new Error(`${KEYWORD} is no keyword of a schema`);
  const parts = Object.entries(schema).map(([keyword, value]) => [keyword, countedUnder(keyword, value)]);
  return { ...Object.fromEntries(parts), [KEYWORD]: 1 + sizesIn(schema) };
}

function countedUnder(keyword: string, value: unknown): unknown {
  if (PARTS.has(keyword)) return countedSchema(value);
  if (LISTS.has(keyword) && Array.isArray(value)) return value.map(countedSchema);
  if (MAPS.has(keyword) && isMembers(value)) return mapMembers(value, countedSchema);
  if (VALUES.has(keyword)) return withoutReferences(value);
  return anywhere(value);
}

/** What is compared one by one. */
function sizesIn(schema: Members): number {
  let size = 0;
  for (const value of Object.values(schema))
    if (typeof value === 'object' && value !== null) size += Object.keys(value).length;
  return size;
}

/** Under a keyword that means nothing, references may lead to something all the same. */
function anywhere(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(anywhere);
  if (!isMembers(value)) return value;
  if (Object.hasOwn(value, KEYWORD)) return countedSchema(value);
  if (Object.keys(value).some((key) => PARTS.has(key) || LISTS.has(key) || REFERENCES.includes(key)))
    return countedSchema(value);
  return mapMembers(value, anywhere);
}

function withoutReferences(value: unknown): unknown {
  const text = JSON.stringify(value);
  if (REFERENCES.some((keyword) => text.includes(`${JSON.stringify(keyword)}:`)))
    throw new Error('a value that is compared has a reference');
  return value;
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function mapMembers(members: Members, make: (value: unknown) => unknown): Members {
  return Object.fromEntries(Object.entries(members).map(([name, value]) => [name, make(value)]));
}
