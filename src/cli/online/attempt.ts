/** The lease that a command works on: by options, or by the variables that `clockwork lease --shell` prints. */
import type { Command } from 'commander';
import { type CliContext, CliError, EXIT } from '../context.js';
import { headerValue } from './service.js';

export const VARIABLES = { attempt: 'CLOCKWORK_ATTEMPT', token: 'CLOCKWORK_LEASE_TOKEN' } as const;

export interface AttemptOptions {
  readonly attempt?: string;
  readonly token?: string;
}

export interface HeldLease {
  readonly attemptId: string;
  /** With the token and the media type of what is sent. */
  readonly headers: Readonly<Record<string, string>>;
}

export function attemptOptions(command: Command): Command {
  return command
    .option('--attempt <id>', `which attempt (default: ${VARIABLES.attempt})`)
    .option(
      '--token <token>',
      `of its lease (default: ${VARIABLES.token}, which other users do not see)`,
      headerValue,
    );
}

export function heldLease({ env }: CliContext, options: AttemptOptions): HeldLease {
  const attemptId = options.attempt ?? env[VARIABLES.attempt];
  const token = options.token ?? env[VARIABLES.token];
  if (!attemptId || !token) {
    const missing = attemptId ? '--token' : '--attempt';
    const hint =
      '`clockwork lease` prints attempt and token; eval "$(clockwork lease TYPE --shell)" sets both.';
    throw new CliError(EXIT.usage, `there is no ${missing}`, hint);
  }
  return { attemptId, headers: { 'lease-token': token, 'content-type': 'application/json' } };
}
