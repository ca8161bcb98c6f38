/** The tables of the docs as the code has them: rows that must stand in the pages, and no others. */
import { SETTINGS } from '../../src/config.js';
import { ERRORS, type ErrorCode } from '../../src/errors.js';
import { STATUS } from '../../src/http/error-reply.js';

export function errorRows(): string[] {
  return (Object.keys(ERRORS) as ErrorCode[]).map(
    (code) => `| \`${code}\` | ${STATUS[code]} | ${ERRORS[code]} |`,
  );
}

export function settingRows(): string[] {
  return Object.values(SETTINGS).flatMap(({ variable, fallback, unit, allowed, about }) =>
    variable === null ? [] : [`| \`${variable}\` | ${shown(fallback, unit)} | ${allowed} | ${about} |`],
  );
}

export function limitRows(): string[] {
  return Object.values(SETTINGS).flatMap(({ variable, fallback, unit, about }) =>
    variable === null ? [`| ${about} | ${shown(fallback, unit)} |`] : [],
  );
}

/** The rows of all tables of a page, without heads and rules. */
export function rowsOf(page: string): string[] {
  const lines = page.split('\n');
  return lines.filter((line, at) => line.startsWith('| ') && !lines[at + 1]?.startsWith('|-'));
}

function shown(value: unknown, unit: string | null): string {
  if (value === null || value === '' || (Array.isArray(value) && value.length === 0)) return 'none';
  return unit === 'ms' || unit === 'bytes' ? `${String(value)} ${unit}` : `\`${String(value)}\``;
}
