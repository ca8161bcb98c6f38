/**
 * Answers `/ping/{value}` with `{value}`, and says in a header how many pings there have been: a listener on the SDK. The count is a
 * state of its own, built from the log, so it is the same in every process and after every restart.
 *
 *   npm run build && node examples/helloworld/listener-sdk.mjs
 *   curl -i http://127.0.0.1:7420/http/ping/hello -H 'Prefer: wait=20'
 */
import { Listener } from 'clockwork/listener';

let pings = 0;

const listener = new Listener({
  url: process.env.CLOCKWORK_URL ?? 'http://127.0.0.1:7420',
  types: ['HTTP'],
  worker: `sdk ${process.pid}`,
  handleStateUpdate: ({ path }) => {
    if (path.startsWith('/ping/')) pings += 1;
  },
  handleSideEffects: ({ method, path }) => {
    const [, value] = /^\/ping\/(.+)$/.exec(path) ?? [];
    if (value === undefined)
      return { outcome: 'fail', ...text(404, `There is no ${method} ${path} here.\n`) };
    try {
      return text(200, decodeURIComponent(value));
    } catch {
      return { outcome: 'fail', ...text(400, 'The value is not well percent-encoded.\n') };
    }
  },
  // A state that begins anew with the process is read from the log from its beginning.
  state: { loadCursor: () => null, saveCursor: () => {} },
  onError: (error, { during }) => console.error(`${during}: ${error}`),
});

listener.start();
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => listener.stop());

function text(status, body) {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8', 'x-pings': String(pings) }, body };
}
