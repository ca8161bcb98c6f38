/** The cascade among the examples, as its page tells it: listeners run, and the page's commands print what it says. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t from 'tap';
import { Client } from '../../src/sdk/client.js';
import { endWithMe } from '../support/end-with-me.js';
import { Service } from '../support/service.js';
import { masked, Shell, shellBlocks } from '../support/shell-doc.js';

t.test('the page of the cascade', async (t) => {
  const service = await Service.start({ env: { ARCHIVE_INTERVAL_MS: '50' } });
  const folder = mkdtempSync(join(tmpdir(), 'clockwork-shell-'));
  const listeners = spawn(process.execPath, ['examples/cascade/listeners.mjs'], {
    env: { ...process.env, CLOCKWORK_URL: service.url },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  endWithMe(listeners);
  t.teardown(async () => {
    rmSync(folder, { recursive: true });
    await service.stop();
  });
  const mails: string[] = [];
  createInterface({ input: listeners.stdout }).on('line', (line) => mails.push(line));

  const shell = new Shell(folder, { CLOCKWORK_URL: service.url });
  const blocks = shellBlocks(readFileSync('examples/cascade/README.md', 'utf8'));
  const shown = blocks.filter(({ prints }) => prints !== null);
  t.equal(shown.length, 1);
  const { code, prints } = shown[0]!;
  const { out, err } = await shell.run(code);
  t.equal(err + masked(out), masked(prints!));

  const client = new Client({ url: service.url });
  const old = await client.wait(await client.submit('update_password', {}, { version: '1' }), {
    timeoutMs: 20_000,
  });
  t.match(old, { outcome: 'fail', errors: [{ code: 'filtered' }] }, 'an old version of the event');
  const exited = once(listeners, 'exit');
  listeners.kill('SIGTERM');
  t.same(await exited, [0, null], 'they stop when they are told to');
  t.equal(mails.length, 1);
  t.match(
    mails[0],
    /^To: ada@example\.org, Message-ID: <[0-9a-f-]{36}@clockwork>, Your password was changed$/,
  );
});
