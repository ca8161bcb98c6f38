/**
 * The README's tour as a program: its commands as they stand there, and what each is said to print. Ids, times and
 * whatever else differs from run to run are given names, the same id the same name, so that what is left must be equal.
 */
import { execFile } from 'node:child_process';

export interface Step {
  readonly commands: string;
  /** What follows the commands in the README: a block of JSON or of text; null when they print nothing. */
  readonly output: { readonly language: 'json' | 'text'; readonly text: string } | null;
}

const BLOCK = /^```(\w+)\n(.*?)^```$/gms;
const ADDRESS = 'http://127.0.0.1:7420';
const TOUR_MS_MAX = 60_000;

/** The steps under the heading, up to the next one of its level. */
export function stepsOf(markdown: string, heading: string): Step[] {
  const begin = markdown.indexOf(`\n${heading}\n`);
  if (begin < 0) throw new Error(`There is no heading "${heading}".`);
  const end = markdown.indexOf('\n## ', begin + heading.length);
  const steps: Step[] = [];
  for (const [, language, text = ''] of markdown.slice(begin, end < 0 ? undefined : end).matchAll(BLOCK)) {
    const last = steps.at(-1);
    if (language === 'bash') steps.push({ commands: text, output: null });
    else if ((language === 'json' || language === 'text') && last?.output === null) {
      steps[steps.length - 1] = { ...last, output: { language, text } };
    } else throw new Error(`A block of "${language}" that belongs to no command: ${text}`);
  }
  return steps;
}

/** Runs all steps in one shell, against another address if need be. Resolves to what each has printed. */
export async function runSteps(steps: readonly Step[], url: string): Promise<string[]> {
  const mark = `--- end of step ${Math.random()} ---`;
  const script = steps
    .map(({ commands }) => `${commands.replaceAll(ADDRESS, url)}\necho '${mark}'\n`)
    .join('');
  const printed = await new Promise<string>((resolve, reject) => {
    execFile('bash', ['-c', script], { timeout: TOUR_MS_MAX }, (error, stdout, stderr) =>
      error ? reject(new Error(`${error.message}\n${stdout}\n${stderr}`)) : resolve(stdout),
    );
  });
  return printed.split(`${mark}\n`).slice(0, -1);
}

/** Gives names to what differs from run to run. One for a whole run: it remembers which id was which. */
export class Namer {
  private readonly ids = new Map<string, string>();

  /** `durable` is what the store can give; the README shows the default's. */
  constructor(private readonly durable: string) {}

  name(text: string): string {
    return text
      .replace(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, (id) => this.idName(id))
      .replace(/(<id \d+>)\.\d+\.\d+\.(\d+)/g, '$1 attempt of grant $2')
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, '<time>')
      .replace(/"token":\s*"[\w-]{22}"/g, '"token":"<token>"')
      .replace(/"position":\s*"\d+-\d+"/g, '"position":"<position>"')
      .replace(/"requestId":\s*"[\w-]+"/g, '"requestId":"<request>"')
      .replace(/"clientAddress":\s*"[\d.:a-f]+"/g, '"clientAddress":"<address>"')
      .replace(/"127\.0\.0\.1:\d+"/g, '"<host>"')
      .replace(/curl\/[\d.]+/g, 'curl/<version>')
      .replace(new RegExp(`"durable":\\s*"${this.durable}"`, 'g'), '"durable":"<durable>"');
  }

  private idName(id: string): string {
    const name = this.ids.get(id) ?? `<id ${this.ids.size + 1}>`;
    this.ids.set(id, name);
    return name;
  }
}

/** The output in a form that can be compared: JSON without the white space that the README has for reading. */
export function comparable(text: string, language: 'json' | 'text', namer: Namer): string {
  return language === 'json' ? JSON.stringify(JSON.parse(namer.name(text)), null, 1) : namer.name(text);
}
