/**
 * The floor: Fastify with an empty handler, which takes the same body and gives a reply of the same size as the
 * service, and does nothing. `parsed` reads the body as JSON, as Fastify does unless told otherwise; `raw` keeps the
 * bytes, as the service does. `socket` is no floor but what shows how much the generator can ask for: it gives the same
 * reply to whatever comes in and does not read it.
 *
 * Usage: node floor-server.js PORT parsed|raw|socket REPLY_BYTES
 */
import { createServer } from 'node:net';
import Fastify from 'fastify';

const [, , port, mode, replyBytes] = process.argv;
const HOST = '127.0.0.1';
const TYPE = 'application/json; charset=utf-8';
const reply = JSON.stringify({ text: 'x'.repeat(Math.max(0, Number(replyBytes) - 11)) });

if (mode === 'socket') answerEverything();
else await answerPosts();

/** Right for calls of which each comes in one piece, as those of a kilobyte do on the loopback. */
function answerEverything(): void {
  const head = `HTTP/1.1 202 Accepted\r\ncontent-type: ${TYPE}\r\ncontent-length: ${reply.length}\r\n\r\n`;
  const bytes = Buffer.from(head + reply);
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('data', () => socket.write(bytes));
    socket.on('error', () => socket.destroy());
  });
  server.listen(Number(port), HOST);
}

async function answerPosts(): Promise<void> {
  const app = Fastify();
  if (mode === 'raw') {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  }
  app.post('/v1/types/:type/events', (_request, response) => {
    response.code(202).header('content-type', TYPE).send(reply);
  });
  app.get('/readyz', () => ({}));
  await app.listen({ host: HOST, port: Number(port) });
}
