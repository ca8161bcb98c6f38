/** How answers are shown to people: names and values, one a line. To programs they are shown as they came. */
import type { Event, EventSummary } from '../../sdk/wire.js';
import type { CliContext } from '../context.js';

/** A value of null is left out. */
export type Line = readonly [name: string, value: string | number | null];

const NAME_CHARS = 12;
const GAP = 2;
const decoder = new TextDecoder();

export function lines(all: readonly Line[]): string {
  const chars = Math.max(NAME_CHARS, ...all.map(([name]) => name.length + GAP));
  return all
    .flatMap(([name, value]) => (value === null ? [] : [`${name.padEnd(chars)}${plain(String(value))}\n`]))
    .join('');
}

/** Without what a terminal would obey: names and errors come from others. */
export function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is these that are looked for.
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** An answer as it came, in a line of its own: numbers beyond 2^53 stay what they are. */
export function asItCame(context: CliContext, { bytes }: { readonly bytes: Uint8Array }): Promise<void> {
  return context.out(`${decoder.decode(bytes)}\n`);
}

export function eventLines(event: Event | EventSummary): Line[] {
  const { createdAt, startedAt, completedAt, attempts, position } = event;
  return [
    ['id', event.id],
    ['type', event.type],
    ['status', event.status],
    ['outcome', event.outcome],
    ['reason', event.reason],
    ['created', createdAt],
    ['started', startedAt],
    ['completed', completedAt],
    ['attempts', attempts],
    ['cancel', event.cancelRequested && event.status !== 'complete' ? 'requested' : null],
    ['position', position],
    ['key', event.key],
    ['parent', event.parent],
    ['root', event.root === event.id ? null : event.root],
    ...('response' in event ? answerLines(event) : []),
  ];
}

function answerLines({ response, errors }: Event): Line[] {
  const shown = response && [response.status, response.contentType, `${response.bytes} bytes`];
  return [
    ['response', shown?.filter((part) => part !== null).join(', ') ?? null],
    ...errors.map((error): Line => ['error', JSON.stringify(error)]),
  ];
}
