/** Leases: what a listener asks for. */
import type { FastifyBaseLogger, FastifyReply } from 'fastify';
import { ClockworkError } from '../../errors.js';
import type { LeaseAnswer, LeaseRequest } from '../../queue/leasing.js';
import { ANONYMOUS, type HttpContext } from '../context.js';
import { leasesText } from '../event-json.js';
import { hangUpSignal, hangUpsNoticed, onHangUp } from '../hang-up.js';
import { checkTypeName, nameFault } from '../names.js';
import { checker, readJson } from '../read-json.js';
import { sendJson, tooManyWaiters } from '../respond.js';
import type { App } from '../routing.js';
import { LeaseBody } from '../schemas/input.js';
import { leaseSchema } from '../schemas/leases.js';
import { idempotencyKeyOf } from '../submit-headers.js';

const checkLeaseBody = checker(LeaseBody);

export function leaseRoutes(app: App, context: HttpContext): void {
  const { queue, config } = context;

  app.post('/v1/leases', { schema: leaseSchema }, async (request, reply) => {
    const { value } = readJson(request, checkLeaseBody);
    checkNames(value, context);
    const waitMs = value.waitMs ?? 0;
    if (waitMs > 0 && !queue.hasRoomToWait) throw tooManyWaiters();
    const wanted: LeaseRequest = {
      types: [...new Set(value.types)],
      listener: value.listener ?? 'default',
      max: value.max ?? 1,
      leaseMs: value.leaseMs ?? null,
      waitMs,
      worker: value.worker ?? null,
      key: idempotencyKeyOf(request.headers, config.keyBytesMax),
      caller: ANONYMOUS,
      signal: waitMs > 0 ? hangUpSignal(reply) : null,
    };
    const answer = leased(await queue.lease(wanted));
    await handBackIfLost(context, reply, answer, request.log);
    return sendJson(reply, `{"leases":${leasesText(answer.leases)}}`);
  });
}

function checkNames({ types, listener }: LeaseBody, { config }: HttpContext): void {
  for (const type of types) checkTypeName(type, config.nameBytesMax);
  const fault = listener === undefined ? null : nameFault(listener, config.nameBytesMax);
  if (fault !== null) throw new ClockworkError('invalid-request', `The name of the listener ${fault}.`);
}

type Leased = Extract<LeaseAnswer, { kind: 'leased' }>;

export function leased(answer: LeaseAnswer): Leased {
  if (answer.kind === 'leased') return answer;
  const { type, listener } = answer;
  const path = `/v1/types/${encodeURIComponent(type)}/listeners/${encodeURIComponent(listener)}`;
  throw new ClockworkError(
    'not-subscribed',
    `The type ${JSON.stringify(type)} has no listener ${JSON.stringify(listener)}.`,
    {
      hint: `Declare it with PUT ${path}. Where none was declared, lease as \`default\`, which subscribes itself.`,
      members: { listener, eventType: type },
    },
  );
}

/** Leases that their caller never heard of are nobody's: they go back at once instead of running out. */
export async function handBackIfLost(
  { queue }: HttpContext,
  reply: FastifyReply,
  { leases, undo }: Leased,
  log: FastifyBaseLogger,
): Promise<void> {
  if (leases.length === 0) return;
  await hangUpsNoticed();
  onHangUp(reply, () => {
    queue
      .abandon(undo)
      .catch((err: unknown) => log.warn({ err }, 'leases of a lost reply stay until they expire'));
  });
}
