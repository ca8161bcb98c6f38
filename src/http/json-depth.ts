/** Whether JSON is nested deeper than it may be to be handed on as JSON. */
import { depthOf } from './json-scan.js';

export function isDeep(text: string, jsonDepthMax: number): boolean {
  // Hardly any body has as many brackets as would do; to count them costs less than to follow them.
  const few = countUpTo(text, '{', jsonDepthMax) + countUpTo(text, '[', jsonDepthMax) <= jsonDepthMax;
  return !few && depthOf(text, jsonDepthMax) > jsonDepthMax;
}

function countUpTo(text: string, char: string, max: number): number {
  let count = 0;
  for (let at = text.indexOf(char); at >= 0 && count <= max; at = text.indexOf(char, at + 1)) count += 1;
  return count;
}
