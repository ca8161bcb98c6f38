/** The page of the example in a real browser: it posts, waits, shows the answer, and says what to do when it may not. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { Client } from '../../src/sdk/client.js';
import { Listener } from '../../src/sdk/listener.js';
import { Browser, findChromium } from '../support/browser.js';
import { Service } from '../support/service.js';

const program = findChromium();
const skip =
  program === null ? 'no Chromium is here: chromium-headless-shell, or what CHROMIUM names' : false;

t.test('the page in a browser', { skip }, async (t) => {
  const page = readFileSync('examples/browser/index.html');
  const server = createServer((_request, response) =>
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const service = await Service.start({ env: { CORS_ORIGINS: `http://127.0.0.1:${port}` } });
  const listener = new Listener({
    url: service.url,
    types: ['HTTP'],
    handleSideEffects: ({ path, method }) => ({
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: `${method} ${decodeURIComponent(path)}`,
    }),
    onError: () => {},
  });
  const browser = await Browser.start(program!);
  t.teardown(async () => {
    await browser.stop();
    await listener.stop();
    await service.stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  /** What the page shows at last, once one of the two has come. */
  const send = async (url: string, value: string): Promise<unknown> => {
    await browser.open(`${url}/?url=${encodeURIComponent(service.url)}`);
    return browser.run(`new Promise((resolve) => {
      const [status, answer] = ['status', 'answer'].map((id) => document.getElementById(id));
      document.getElementById('value').value = ${JSON.stringify(value)};
      new MutationObserver(() => {
        const [said, answered] = [status.textContent, answer.textContent];
        if (answered !== '' || said.startsWith('That did not work')) resolve({ said, answered });
      }).observe(document.body, { childList: true, subtree: true, characterData: true });
      document.querySelector('button').click();
    })`);
  };

  const waited = send(`http://127.0.0.1:${port}`, 'Grüße, ☃!');
  const client = new Client({ url: service.url });
  for (let count = 0; count === 0; ) for await (const _ of client.list()) count += 1;
  listener.start();
  t.match(await waited, { said: /^[0-9a-f-]{36} is complete: success$/, answered: 'POST /ping/Grüße, ☃!' });
  t.match(
    await send(`http://localhost:${port}`, 'x'),
    {
      said: /^That did not work: no answer from .*CORS_ORIGINS have http:\/\/localhost:\d+\?$/,
      answered: '',
    },
    'a page of another origin may not, and says why',
  );
});
