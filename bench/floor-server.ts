/**
 * The floor: Fastify with an empty handler, which takes the same body and gives a reply of the same size as the
 * service, and does nothing. `parsed` reads the body as JSON, as Fastify does unless told otherwise; `raw` keeps the
 * bytes, as the service does.
 *
 * Usage: node floor-server.js PORT parsed|raw REPLY_BYTES
 */
import Fastify from 'fastify';

const [port, mode, replyBytes] = process.argv.slice(2);
const reply = JSON.stringify({ text: 'x'.repeat(Math.max(0, Number(replyBytes) - 11)) });

const app = Fastify();
if (mode === 'raw') {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
}
app.post('/v1/types/:type/events', (_request, response) => {
  response.code(202).header('content-type', 'application/json; charset=utf-8').send(reply);
});
app.get('/readyz', () => ({}));
await app.listen({ host: '127.0.0.1', port: Number(port) });
