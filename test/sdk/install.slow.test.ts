/** The package installed with npm, with all that the service needs: both parts of the SDK load, and the service starts. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { freePort } from '../support/free-port.js';

const run = promisify(execFile);

t.test('npm install of the packed package', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'clockwork-install-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]);
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  await run(
    'npm',
    ['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', `./${filename}`],
    { cwd: folder },
  );

  const port = await freePort();
  const env = {
    PATH: process.env['PATH'] ?? '',
    PORT: String(port),
    DATA_DIR: join(folder, 'data'),
    LOG_LEVEL: 'warn',
  };
  const main = join(folder, 'node_modules', 'clockwork', 'dist', 'src', 'main.js');
  const service = spawn(process.execPath, [main], {
    cwd: folder,
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const exited = once(service, 'exit');
  t.teardown(() => service.kill('SIGKILL'));

  const program = `
    import { Client } from 'clockwork/client';
    import { Listener } from 'clockwork/listener';
    const url = 'http://127.0.0.1:${port}';
    const client = new Client({ url, triesMax: 50 });
    const handleSideEffects = ({ body }) => ({ body: body.toUpperCase() });
    const listener = new Listener({ url, types: ['shout'], handleSideEffects, onError: () => {} });
    listener.start();
    const event = await client.wait(await client.submit('shout', 'hello'));
    console.log(event.response.body);
    await listener.stop();
  `;
  const loop = await run(process.execPath, ['--input-type=module', '-e', program], { cwd: folder });
  t.equal(loop.stdout, 'HELLO\n');
  const clockwork = join(folder, 'node_modules', '.bin', 'clockwork');
  t.match((await run(clockwork, ['--help'])).stdout, /Usage: clockwork/);
  service.kill('SIGTERM');
  t.same(await exited, [0, null]);
});
