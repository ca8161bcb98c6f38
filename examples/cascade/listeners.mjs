/**
 * A password was updated, so a mail is sent: one event brings another about. Two listeners on the SDK, here in one program; they could as
 * well be two programs on two machines.
 *
 *   npm run build && node examples/cascade/listeners.mjs
 */
import { Listener } from 'clockwork/listener';

const url = process.env.CLOCKWORK_URL ?? 'http://127.0.0.1:7420';
const onError = (error, { during }) => console.error(`${during}: ${error}`);

/** The state: who has which hash. It is built from the log, so it is there again after every restart. */
const hashes = new Map();

const passwords = new Listener({
  url,
  types: ['update_password'],
  // Old versions of the event had no hash.
  filterEvent: ({ version }) => version === '2',
  handleStateUpdate: ({ body }) => {
    hashes.set(body.user, body.hash);
  },
  // The mail's event is accepted together with this answer or not at all: no mail without the update, no update without its mail.
  handleSideEffects: ({ body }) => ({
    body: { updated: body.user, users: hashes.size },
    emit: [{ type: 'send_email', body: { to: body.user, subject: 'Your password was changed' } }],
  }),
  state: { loadCursor: () => null, saveCursor: () => {} },
  onError,
});

const mails = new Listener({
  url,
  types: ['send_email'],
  // The id is the same however often this is tried. A mail server that is told it sends the mail once.
  handleSideEffects: ({ id, body }) => {
    console.log(`To: ${body.to}, Message-ID: <${id}@clockwork>, ${body.subject}`);
  },
  onError,
});

for (const listener of [passwords, mails]) {
  listener.start();
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => listener.stop());
}
