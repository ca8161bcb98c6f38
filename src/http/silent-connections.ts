/**
 * Connections on which nothing was asked yet, such as a client opens ahead of its calls. Node takes them for busy ones, and a server
 * that closes would wait until their clients hang up.
 */
import type { Socket } from 'node:net';
import type { App } from './routing.js';

/** What may be on its way when the server begins to close is still answered. */
const GRACE_MS = 500;

/** Ends those that stay silent once the server closes. */
export function endSilentConnections(app: App): void {
  const silent = new Set<Socket>();
  app.server.on('connection', (socket) => {
    silent.add(socket);
    socket.once('close', () => silent.delete(socket));
  });
  app.server.prependListener('request', ({ socket }) => silent.delete(socket));
  app.addHook('preClose', (done) => {
    const end = () => silent.forEach((socket) => void socket.destroy());
    setTimeout(end, GRACE_MS).unref();
    done();
  });
}
