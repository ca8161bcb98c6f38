/** Whole numbers as options have them. */
import { InvalidArgumentError } from 'commander';

export function wholeNumber(min: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} on.`);
  };
}
