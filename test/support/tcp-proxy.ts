/**
 * A TCP proxy that can take what comes back and break the connection: what was asked for has then happened, and who
 * asked cannot know. It can also fall silent, as a network does that drops packets, and lead to another server, as an
 * address does after a failover.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

interface Link {
  readonly near: Socket;
  readonly far: Socket;
  /** What comes from the far side is thrown away. */
  swallowing: boolean;
}

export class TcpProxy {
  /** Connections that were broken. */
  cuts = 0;
  #silent = false;
  readonly #links = new Set<Link>();
  readonly #server: Server;

  private constructor(private upstreamPort: number) {
    this.#server = createServer((near) => this.#link(near));
  }

  static async start(upstreamPort: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(upstreamPort);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Requests go on to the far side for `swallowMs`, but nothing comes back; then every connection breaks. */
  async cut(swallowMs: number): Promise<void> {
    const links = [...this.#links];
    for (const link of links) link.swallowing = true;
    await delay(swallowMs);
    for (const link of links) this.#break(link);
    this.cuts += links.length;
  }

  /** Whoever is connected is cut off, and gets to the server on `port` from now on. */
  lead(port: number): void {
    this.upstreamPort = port;
    for (const link of [...this.#links]) this.#break(link);
  }

  /** Nothing passes in either direction, and nobody is told, until it is called with false. */
  silence(silent: boolean): void {
    this.#silent = silent;
    for (const { near, far } of this.#links) {
      for (const socket of [near, far]) {
        if (silent) socket.pause();
        else socket.resume();
      }
    }
  }

  async stop(): Promise<void> {
    this.#server.close();
    for (const link of this.#links) this.#break(link);
    await once(this.#server, 'close');
  }

  #link(near: Socket): void {
    const far = connect(this.upstreamPort, '127.0.0.1');
    const link: Link = { near, far, swallowing: false };
    this.#links.add(link);
    near.on('data', (data) => far.write(data));
    far.on('data', (data) => {
      if (!link.swallowing) near.write(data);
    });
    for (const socket of [near, far]) {
      socket.setNoDelay(true);
      socket.on('error', () => this.#break(link));
      socket.on('close', () => this.#break(link));
      if (this.#silent) socket.pause();
    }
  }

  #break(link: Link): void {
    this.#links.delete(link);
    link.near.destroy();
    link.far.destroy();
  }
}
