/**
 * The lock of a data folder: two processes never share one.
 *
 * Each holder listens on a Unix socket of its own in the folder, `lock.{pid}.{random}.sock`. Whoever can be
 * connected to is alive: the kernel answers for the process, and lets go when it dies, however it dies. A number
 * in a file cannot do that: process numbers are used again, and in containers each process is number 1.
 * An opener first shows its own socket and then looks for others, so of two that open at once at least one sees
 * the other, and gives way. A dead socket's name is never used again, so to remove it takes nothing from anybody.
 *
 * It works for all processes of one machine, also across containers that share the folder. A folder on a network
 * file system that two machines mount is not protected; there a journal has no business to be.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { FolderError } from './folder.js';

const NAME = /^lock\.(\d+)\.[0-9a-f]{16}\.sock$/;
/** A socket's path may not be longer, less a final NUL: `sun_path` has 104 bytes on the BSDs, 108 on Linux. */
const SOCKET_PATH_MAX = 103;

export interface FolderLock {
  release(): Promise<void>;
}

export async function lockFolder(dir: string): Promise<FolderLock> {
  const folder = fs.openSync(dir, 'r');
  const own = `lock.${process.pid}.${randomBytes(8).toString('hex')}.sock`;
  let server: net.Server | null = null;
  const release = async () => {
    if (server) await new Promise((resolve) => server!.close(resolve));
    server = null;
    fs.closeSync(folder);
  };
  try {
    server = await listen(dir, socketPath(dir, folder, own));
    for (const name of fs.readdirSync(dir)) {
      const pid = NAME.exec(name)?.[1];
      if (!pid || name === own) continue;
      if (await isAlive(socketPath(dir, folder, name))) {
        throw new FolderError(dir, `in use by process ${pid}; a data folder serves one process at a time`);
      }
      fs.rmSync(join(dir, name), { force: true });
    }
  } catch (error) {
    await release();
    throw error;
  }
  return { release };
}

/** A path to the socket that is short enough: Linux reaches an open folder by the number of its descriptor. */
function socketPath(dir: string, folder: number, name: string): string {
  if (process.platform === 'linux') return `/proc/self/fd/${folder}/${name}`;
  const path = join(dir, name);
  if (Buffer.byteLength(path) > SOCKET_PATH_MAX) {
    throw new FolderError(
      dir,
      `its path is too long to be locked: ${path} has more than ${SOCKET_PATH_MAX} bytes`,
    );
  }
  return path;
}

function listen(dir: string, path: string): Promise<net.Server> {
  const server = net.createServer((socket) => socket.destroy());
  server.unref();
  return new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(new FolderError(dir, `cannot be locked: ${error.message}`, error)),
    );
    server.listen({ path, exclusive: true }, () => resolve(server));
  });
}

/** Only a refusal, or a name that has gone, says that nobody listens; a holder may be too busy to answer. */
function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT');
    });
  });
}
