/**
 * Types that are new to this process: a script is told the ordinals that they will probably get, and says so when it is
 * otherwise.
 */
import type { Durability } from '../../event/unarchived.js';
import type { Partition } from './partition.js';

/** Each wrong guess of a new type's ordinal costs a round trip; so many in a row mean that something else is wrong. */
export const WRONG_GUESSES_MAX = 100;

/** Of one call of a script. */
export class TypeGuesses {
  readonly #guesses = new Map<string, number>();

  constructor(private readonly partition: Partition) {}

  get guessed(): boolean {
    return this.#guesses.size > 0;
  }

  ordinalOf(type: string): { readonly ordinal: number; readonly isGuess: boolean } {
    const known = this.partition.ordinalOf(type);
    if (known !== null) return { ordinal: known, isGuess: false };
    const ordinal = this.#guesses.get(type) ?? this.partition.typesKnown + this.#guesses.size;
    this.#guesses.set(type, ordinal);
    return { ordinal, isGuess: true };
  }
}

/** Added to what is said about an event that goes to another partition. */
export const ELSEWHERE = 4;

/** What lua/complete.lua is told about an event: 1 its type's ordinal is a guess, 2 more with `archive` durability. */
export function aboutOf(isGuess: boolean, durability: Durability | undefined): number {
  return (isGuess ? 1 : 0) + (durability === 'archive' ? 2 : 0);
}
