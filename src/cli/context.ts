/** What every command works with; tests give another one than `main.ts` does. */
import type { BlobStore } from '../blob/blob.js';
import type { Policy } from '../event/policy.js';
import type { Limits } from '../event/state.js';
import type { StoreReading } from '../log/verify-store.js';
import type { Recoverable, Store } from '../store/store.js';

/** Where a log may be. */
export type LogPlace =
  | { readonly kind: 'file'; readonly folder: string }
  | {
      readonly kind: 's3';
      readonly bucket: string;
      readonly prefix: string;
      readonly endpoint: string | null;
      readonly forcePathStyle: boolean;
    };

/** Where a store may be. */
export type StorePlace =
  | { readonly kind: 'embedded'; readonly folder: string }
  | { readonly kind: 'redis'; readonly url: string; readonly prefix: string; readonly partitions: number };

/** What a store must be told to be opened. */
export interface StoreSettings {
  readonly place: StorePlace;
  readonly policy: Policy;
  readonly limits: Limits;
}

export interface OpenedReading {
  readonly store: StoreReading;
  readonly close: () => Promise<void>;
}

export interface CliContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  /** Results. Resolves when more may be written. */
  readonly out: (result: string | Uint8Array) => Promise<void>;
  /** All that is given, to its end. */
  readonly stdin: () => Promise<Uint8Array>;
  /** Everything else: progress, problems. */
  readonly err: (text: string) => void;
  /** Whether `err` goes to a terminal. */
  readonly terminal: boolean;
  readonly openLog: (place: LogPlace) => Promise<BlobStore>;
  /** Its gate is as it was. */
  readonly openStore: (settings: StoreSettings) => Promise<Store & Recoverable>;
  /** To be read only, also while a service has it. Null: there is none. */
  readonly readStore: (settings: StoreSettings) => Promise<OpenedReading | null>;
  /** Ends commands that go on until they are stopped. */
  readonly signal: AbortSignal;
}

/** The exit codes, which `docs/cli.md` shows. */
export const EXIT = {
  ok: 0,
  /** The log is damaged, or is not what it should be. */
  unsound: 1,
  /** The command or a setting is wrong; nothing was done. */
  usage: 2,
  /** The place of the log does not answer, or refuses; or the service does not answer, or cannot now. */
  unreachable: 3,
  /** The service refuses what it was asked. */
  refused: 4,
  /** The event that was waited for has failed. */
  failed: 5,
  /** The time was over before what was waited for, or there was nothing to lease. */
  timedOut: 6,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What ends a command: one line for people, with what to do about it. */
export class CliError extends Error {
  constructor(
    readonly exitCode: ExitCode,
    message: string,
    readonly hint: string | null = null,
    /** For programs: what the service said. */
    readonly problem: object | null = null,
  ) {
    super(message);
    this.name = 'CliError';
  }
}
