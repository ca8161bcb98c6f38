/** The file adapter: the contract, and what only files can do wrong. */
import { spawn } from 'node:child_process';
import { chmod, link, mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { FileBlobStore } from '../../src/blob/file.js';
import { blobContract, failureOf } from '../contract/blob.js';

async function tempFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'clockwork-blob-'));
}

t.test('files keep the contract', async (t) => {
  const folder = await tempFolder();
  await blobContract(t, {
    open: async (name) => new FileBlobStore(join(folder, name)),
    close: () => rm(folder, { recursive: true }),
  });
});

t.test('files', async (t) => {
  const root = await tempFolder();
  t.teardown(() => rm(root, { recursive: true }));

  await t.test('a put leaves no staged file behind, whether it created or not', async (t) => {
    const folder = join(root, 'tidy');
    const blobs = new FileBlobStore(folder);
    await blobs.putIfAbsent('x', Buffer.from('1'));
    await blobs.putIfAbsent('x', Buffer.from('2'));
    t.same(await readdir(join(folder, '~staging')), []);
  });

  await t.test(
    'staged files of processes that died are cleared, those of living ones are not, none is listed',
    async (t) => {
      const folder = join(root, 'stale');
      const staging = join(folder, '~staging');
      await mkdir(staging, { recursive: true });
      await writeFile(join(staging, 'old'), 'x');
      await writeFile(join(staging, 'new'), 'x');
      const longAgo = new Date(Date.now() - 2 * 60 * 60 * 1000);
      await utimes(join(staging, 'old'), longAgo, longAgo);
      const blobs = new FileBlobStore(folder);
      t.same(await blobs.list('', { limit: 10 }), []);
      await blobs.putIfAbsent('x', Buffer.from('1'));
      t.same(await readdir(staging), ['new']);
      t.same(
        (await blobs.list('', { limit: 10 })).map((info) => info.key),
        ['x'],
      );
    },
  );

  await t.test('what others put beside the keys is not listed', async (t) => {
    const folder = join(root, 'foreign');
    const blobs = new FileBlobStore(folder);
    await blobs.putIfAbsent('log/1', Buffer.from('1'));
    await writeFile(join(folder, 'README'), 'x');
    await writeFile(join(folder, 'log', '.hidden'), 'x');
    t.same(
      (await blobs.list('', { limit: 10 })).map((info) => info.key),
      ['log/1'],
    );
  });

  await t.test('a key under an object, or an object in the place of a folder, is refused', async (t) => {
    const blobs = new FileBlobStore(join(root, 'clash'));
    await blobs.putIfAbsent('a', Buffer.from('1'));
    t.equal(await failureOf(blobs.putIfAbsent('a/b', Buffer.from('2'))), 'refused');
    t.equal((await blobs.get('a'))?.toString(), '1');
  });

  await t.test('a folder taken away while running is made again', async (t) => {
    const folder = join(root, 'vanishing');
    const blobs = new FileBlobStore(folder);
    await blobs.putIfAbsent('log/0/1', Buffer.from('1'));
    await rm(folder, { recursive: true });
    t.equal(await failureOf(blobs.putIfAbsent('log/0/2', Buffer.from('2'))), 'unavailable');
    t.equal(await blobs.putIfAbsent('log/0/2', Buffer.from('2')), 'created');
    t.equal((await blobs.get('log/0/2'))?.toString(), '2');
  });

  await t.test('a place that is a file is refused, and works once it is a folder', async (t) => {
    const folder = join(root, 'later');
    await writeFile(folder, 'in the way');
    const blobs = new FileBlobStore(folder);
    t.equal(await failureOf(blobs.putIfAbsent('x', Buffer.from('1'))), 'refused');
    await rm(folder);
    t.equal(await blobs.putIfAbsent('x', Buffer.from('1')), 'created');
  });

  await t.test(
    'no permission is refused',
    { skip: process.getuid?.() === 0 && 'root may write anywhere' },
    async (t) => {
      const folder = join(root, 'closed');
      await mkdir(folder, { mode: 0o500 });
      const blobs = new FileBlobStore(folder);
      t.equal(await failureOf(blobs.putIfAbsent('x', Buffer.from('1'))), 'refused');
      await chmod(folder, 0o700);
      t.equal(await blobs.putIfAbsent('x', Buffer.from('1')), 'created');
    },
  );

  await t.test('an object’s names are one: what was linked is whole', async (t) => {
    const folder = join(root, 'links');
    const blobs = new FileBlobStore(folder);
    await blobs.putIfAbsent('x', Buffer.from('whole'));
    t.equal((await stat(join(folder, 'x'))).nlink, 1);
    await link(join(folder, 'x'), join(folder, 'y'));
    t.equal(await blobs.putIfAbsent('y', Buffer.from('z')), 'exists');
  });

  await t.test(
    'killed in the middle of puts: what was created is there, and what is there is whole',
    async (t) => {
      const folder = join(root, 'killed');
      const blobs = new FileBlobStore(folder);
      let created = 0;
      for (let run = 0; run < 3; run++) {
        const keys = await putUntilKilled(folder, run);
        created += keys.length;
        for (const key of keys) t.equal((await blobs.get(key))?.byteLength, BODY_BYTES, key);
      }
      const listed = await blobs.list('', { limit: 1000 });
      t.ok(listed.length >= created && created >= 30, `${created} created, ${listed.length} there`);
      t.ok(listed.every((info) => info.bytes === BODY_BYTES));
    },
  );

  await t.test('it says where it is', (t) => {
    t.equal(new FileBlobStore('/srv/log/').description, 'file:/srv/log');
    t.end();
  });
});

const BODY_BYTES = 300_000;

/** Another process puts objects as fast as it can and names each that was created; it is killed after ten. */
async function putUntilKilled(folder: string, run: number): Promise<string[]> {
  const adapter = new URL('../../src/blob/file.js', import.meta.url).href;
  const script = `
    const { FileBlobStore } = await import(${JSON.stringify(adapter)});
    const blobs = new FileBlobStore(${JSON.stringify(folder)});
    const put = async (key) => {
      if ((await blobs.putIfAbsent(key, Buffer.alloc(${BODY_BYTES}, 'x'))) === 'created') console.log(key);
    };
    for (let i = 0; i < 1000; i += 4) await Promise.all([0, 1, 2, 3].map((j) => put('run-${run}/' + (i + j))));
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  for await (const chunk of child.stdout) {
    text += chunk;
    if (text.split('\n').length > 10) child.kill('SIGKILL');
  }
  return text.split('\n').slice(0, -1);
}
