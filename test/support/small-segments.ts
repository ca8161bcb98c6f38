/** Segments of one step each, so that a few records are more than a segment holds and the archiver goes on at once. */
import type { encodeSegment } from '../../src/log/segment.js';
import { stepLength } from '../../src/log/step.js';

export function smallOf(encode: typeof encodeSegment): typeof encodeSegment {
  return (place, records) => encode(place, records.slice(0, stepLength(records, 0) ?? records.length));
}
