/** Bodies that commands send: from an argument, from a file, or from standard input. */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { type CliContext, CliError, EXIT } from '../context.js';
import { headerValue } from './service.js';

export interface BodyOptions {
  readonly file?: string;
  readonly contentType?: string;
}

export interface Body {
  readonly bytes: Uint8Array;
  readonly contentType: string;
  /** The bytes as text, where they are UTF-8. */
  readonly text: string | null;
  readonly isJson: boolean;
}

export function bodyOptions(command: Command): Command {
  return command
    .option('--file <path>', 'the body is in this file; - is standard input')
    .option(
      '--content-type <type>',
      'of the body (default: JSON if it is JSON, else text or bytes)',
      headerValue,
    );
}

/** Null: there is none. The argument is taken to the letter, whatever it begins with. */
export async function readBody(
  context: CliContext,
  argument: string | undefined,
  { file, contentType }: BodyOptions,
): Promise<Body | null> {
  if (argument !== undefined && file !== undefined) {
    throw new CliError(EXIT.usage, 'there are two bodies, an argument and --file', 'Give one of them.');
  }
  if (argument !== undefined) return bodyOf(Buffer.from(argument), contentType);
  if (file !== undefined) return bodyOf(await bytesOf(context, file), contentType);
  return null;
}

async function bytesOf(context: CliContext, file: string): Promise<Uint8Array> {
  if (file === '-') return context.stdin();
  try {
    return await readFile(file);
  } catch (error) {
    throw new CliError(EXIT.usage, `the file cannot be read: ${(error as Error).message}`);
  }
}

function bodyOf(bytes: Uint8Array, contentType: string | undefined): Body {
  const text = textIn(bytes);
  const fault = text === null ? 'it is not UTF-8' : jsonFault(text);
  const isJson = contentType === undefined ? fault === null : fault === null && isJsonType(contentType);
  if (contentType !== undefined) return { bytes, text, contentType, isJson };
  if (isJson) return { bytes, text, isJson, contentType: 'application/json' };
  if (text === null) return { bytes, text, isJson, contentType: 'application/octet-stream' };
  // Not sent as text: whoever began an object meant one.
  if (/^\s*[[{]/.test(text)) {
    const hint = 'If it is no JSON, say what it is: --content-type text/plain.';
    throw new CliError(EXIT.usage, `the body begins like JSON and is none: ${fault}`, hint);
  }
  return { bytes, text, isJson, contentType: 'text/plain; charset=utf-8' };
}

function isJsonType(contentType: string): boolean {
  return /^application\/(?:[^;\s]+\+)?json\s*(?:;|$)/i.test(contentType);
}

function textIn(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

function jsonFault(text: string): string | null {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}
