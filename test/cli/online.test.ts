/** The commands that ask a running service: what the page shows, every example of their help, and what they say when something is wrong. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { type CliContext, EXIT } from '../../src/cli/context.js';
import { commandsOf, wholeProgram } from '../../src/cli/program.js';
import { Client } from '../../src/sdk/client.js';
import { Listener } from '../../src/sdk/listener.js';
import { cliDocument } from '../support/cli-doc.js';
import { freePort } from '../support/free-port.js';
import { run } from '../support/run-cli.js';
import { Service } from '../support/service.js';
import { masked, Shell, shellBlocks } from '../support/shell-doc.js';

/** Every command of the program that does something, with the examples of its help. */
async function examples(): Promise<Map<string, string[]>> {
  const program = await wholeProgram({ err: () => undefined, version: '' } as unknown as CliContext);
  const leaves = commandsOf(program).filter((command) => command.commands.length === 0);
  return new Map(
    leaves.map((command) => {
      let help = '';
      command.configureOutput({ writeOut: (text) => (help += text) });
      command.outputHelp();
      const path = /^Usage: clockwork ((?:[a-z-]+ ?)+)/.exec(help)?.[1]?.trim() ?? '';
      const lines = help.split('Examples:\n')[1]?.split('\n') ?? [];
      return [path, lines.map((line) => line.trim()).filter((line) => line !== '')];
    }),
  );
}

/** What a terminal obeys. */
const NOT_SHOWN = /[\p{Cf}\u009b]|(?!\n)\p{Cc}/u;
const OFFLINE = ['log cat', 'log tail', 'verify', 'checkpoint', 'restore'];

/** What a shell makes of a line that begins with `clockwork`, without what it is piped into. */
async function wordsOf(
  shell: Shell,
  line: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string[]> {
  const { out } = await shell.run(`clockwork() { printf '%s\\0' "$@" >&3; }; exec 3>&1; ${line} > pipe`, env);
  return out.split('\0').slice(0, -1);
}

t.test('the examples of the other commands are commands too', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'clockwork-shell-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const shell = new Shell(folder, {});
  for (const [command, lines] of await examples()) {
    if (!OFFLINE.includes(command)) continue;
    t.ok(lines.length > 0, `${command} has examples`);
    for (const line of lines) {
      const program = await wholeProgram({ err: () => undefined, version: '' } as unknown as CliContext);
      for (const each of commandsOf(program)) each.action(() => undefined);
      await t.resolves(program.parseAsync(await wordsOf(shell, line), { from: 'user' }), line);
    }
  }
});

t.test('on a running service', async (t) => {
  const service = await Service.start({ env: { ARCHIVE_INTERVAL_MS: '50' } });
  const folder = mkdtempSync(join(tmpdir(), 'clockwork-shell-'));
  t.teardown(async () => {
    rmSync(folder, { recursive: true });
    await service.stop();
  });
  const shell = new Shell(folder, { CLOCKWORK_URL: service.url });
  const client = new Client({ url: service.url });
  const env = { CLOCKWORK_URL: service.url };
  const here = (...args: string[]) => run(args, { env });

  /** An event that somebody holds, by the names that the help has for it. */
  let count = 0;
  const leased = async (type = `held-${++count}`) => {
    const { id } = await client.submit(type, { name: 'Ada' });
    const { leases } = JSON.parse((await here('lease', type, '--json')).out);
    const { attemptId: attempt, token } = leases[0] as { attemptId: string; token: string };
    return {
      id,
      attempt,
      token,
      CLOCKWORK_ATTEMPT: attempt,
      CLOCKWORK_LEASE_TOKEN: token,
      CLOCKWORK_EVENT: id,
    };
  };
  const answered = async () => {
    const { id, attempt, token } = await leased();
    await here('complete', '{"text":"Hello"}', '--attempt', attempt, '--token', token);
    return { id };
  };

  const begun = async () => ({ redrive: (await client.redrive('greeting', { filter: 'dead' })).id });

  await t.test('the page shows what is printed', async (t) => {
    const tour = cliDocument().split('<!-- tour -->')[1]?.split('<!-- /tour -->')[0] ?? '';
    const blocks = shellBlocks(tour);
    t.ok(blocks.length > 5);
    // One shell for the whole page: variables go on from block to block.
    const code = blocks.map(({ code }) => `${code}\necho '-- end of block'`).join('\n');
    const { code: ended, out, err } = await shell.run(code);
    t.equal(ended, 0, err);
    const printed = out.split('-- end of block\n');
    for (const [at, { code, prints }] of blocks.entries()) {
      if (prints !== null) t.equal(masked(printed[at] ?? '').trimEnd(), masked(prints).trimEnd(), code);
    }
  });

  await t.test('every example of the help works', async (t) => {
    const listener = new Listener({
      url: service.url,
      types: ['greeting'],
      handleSideEffects: () => ({ body: { text: 'Hello' } }),
      onError: (error) => t.fail(String(error)),
    });
    writeFileSync(join(folder, 'picture.png'), Buffer.from([0x89, 0x50, 0xff, 0]));
    writeFileSync(join(folder, 'events.ndjson'), '{"type":"greeting"}\n');
    writeFileSync(join(folder, 'answer.json'), '{"text":"Hello"}');
    writeFileSync(join(folder, 'policy.json'), '{"leaseMs":45000}');
    for (const place of ['.local/share/bash-completion/completions', '.zfunc', '.config/fish/completions'])
      spawnSync('mkdir', ['-p', join(folder, place)]);
    const prepared: Record<string, () => Promise<Record<string, string>>> = {
      status: leased,
      wait: answered,
      response: answered,
      request: answered,
      cancel: leased,
      tree: answered,
      extend: leased,
      complete: leased,
      'hand-back': leased,
      lease: async () => ({ id: (await client.submit('greeting')).id }),
      'redrive show': begun,
      'redrive cancel': begun,
    };
    listener.start();
    for (const [command, lines] of await examples()) {
      if (OFFLINE.includes(command)) continue;
      t.ok(lines.length > 0, `${command} has examples`);
      if (command !== 'submit') await listener.stop();
      for (const line of lines) {
        t.match(line, `clockwork ${command} `.trim(), line);
        const names = (await prepared[command]?.()) ?? {};
        // Without a pipe it is as good here, and far quicker than in a process of its own.
        const isAlone = /^clockwork [^|<>]+$/.test(line) && !line.includes('--file');
        const { code, err } = isAlone
          ? await run(await wordsOf(shell, line, names), { env: { ...env, ...names } })
          : await shell.run(line, names);
        t.equal(`${code} ${err}`, '0 ', line);
      }
    }
  });

  await t.test('bodies go to the byte, as what they are', async (t) => {
    const sent = async (more: Partial<CliContext>, ...args: string[]) => {
      const { out, err } = await run(['submit', 'bodies', ...args], { env, ...more });
      t.equal(err, '');
      const { bytes, contentType } = await client.request(out.trim());
      return [Buffer.from(bytes).toString('latin1'), contentType];
    };
    const big = '{ "n": 123456789012345678901234567890 }';
    t.same(await sent({}, big), [big, 'application/json']);
    t.same(await sent({}, '@/etc/passwd'), ['@/etc/passwd', 'text/plain; charset=utf-8']);
    t.same(await sent({}, '--', '-5'), ['-5', 'application/json']);
    t.same(await sent({}, '{no', '--content-type', 'text/plain'), ['{no', 'text/plain']);
    t.same(await sent({}), ['', 'application/octet-stream']);
    const stdin = async () => Buffer.from([0xff, 0, 0x0a]);
    t.same(await sent({ stdin }, '--file', '-'), ['\xff\0\n', 'application/octet-stream']);

    t.match(await here('submit', 'bodies', '{no'), { code: EXIT.usage, err: /is none:.*--content-type/ });
    t.match(await here('submit', 'bodies', 'a', '--file', '-'), { code: EXIT.usage, err: /two bodies/ });
    t.match(await here('submit', 'bodies', '--file', 'nowhere'), { code: EXIT.usage, err: /ENOENT/ });
  });

  await t.test('responses go as they are too', async (t) => {
    const big = '{ "n": 123456789012345678901234567890 }';
    const cases: [args: string[], stdin: Uint8Array, out: string, type: string][] = [
      [[big], new Uint8Array(), big, 'application/json'],
      [['--file', '-'], Buffer.from('Grüße'), 'Grüße', 'text/plain; charset=utf-8'],
      [['--file', '-'], Buffer.from([0xff, 0]), '\ufffd\0', 'application/octet-stream'],
      [[big, '--content-type', 'text/html'], new Uint8Array(), big, 'text/html'],
    ];
    for (const [args, bytes, out, type] of cases) {
      const held = await leased();
      const done = await run(['complete', ...args], { env: { ...env, ...held }, stdin: async () => bytes });
      t.match(done, { code: 0, err: '', out: /^event .*\nstatus +complete\noutcome +success\n$/ });
      t.match(await here('response', held.id), { code: 0, out });
      t.equal((await client.response(held.id)).contentType, type);
      if (type === 'application/json')
        t.match((await here('status', held.id, '--json')).out, big, 'as it came');
    }
  });

  await t.test('submit says how the event is to be treated', async (t) => {
    const options =
      '--delay-ms 60000 --idempotency-key k-1 --event-version 2 --correlation-id c --durability archive'.split(
        ' ',
      );
    const first = await here('submit', 'treated', '1', ...options, '--json', '-H', 'X-Mine: yes');
    const receipt = JSON.parse(first.out) as { id: string };
    t.match(receipt, { status: 'pending', durable: 'archived' });
    const again = await here('submit', 'treated', '1', ...options, '-H', 'X-Mine: yes');
    t.equal(again.out, `${receipt.id}\n`, 'the same key is the same event');
    t.match(await here('lease', 'treated'), { code: EXIT.timedOut, out: '' }, 'not yet');
    const other = await here('submit', 'treated', '2', ...options);
    t.match(other, { code: EXIT.refused, out: '', err: /\(idempotency-conflict/ });
    const keyed = await here('submit', 'in-order', '1', '--key', 'account-17');
    t.match((await here('status', keyed.out.trim())).out, /^key +account-17$/m);
  });

  await t.test('lease shows what is needed, and ends with 6 when there is nothing', async (t) => {
    await client.submitMany([1, 2, 3].map((body) => ({ type: 'many', body })));
    const two = await here('lease', 'many', '--max', '2', '--worker', 'w', '--lease-ms', '9000');
    t.equal(two.out.match(/^token /gm)?.length, 2);
    t.match(two.out, /^request +POST \/v1\/events, application\/json, 1 bytes$/m);
    const { leases } = JSON.parse((await here('lease', 'many', '--max', '2', '--json')).out);
    t.equal(leases.length, 1);
    t.match(await here('lease', 'many'), {
      code: EXIT.timedOut,
      out: '',
      err: 'clockwork: there is no event to lease. --wait-ms waits for one.\n',
    });
    t.match(await here('lease', 'many', '--json'), { code: EXIT.timedOut, out: '{"leases":[]}\n' });
    t.match(await here('lease', 'many', '--shell'), { code: EXIT.timedOut, out: '' });
    t.match(await here('lease', 'many', '--shell', '--json'), {
      code: EXIT.usage,
      err: /cannot be used with/,
    });
    t.match(await here('lease', 'many', '--listener', 'other'), {
      code: EXIT.refused,
      err: /\(not-subscribed\)/,
    });
  });

  await t.test('a failure is tried again when that is asked for', async (t) => {
    const held = await leased('again');
    const all = { env: { ...env, ...held } };
    const args = ['complete', '--fail', '--error', '{"a":1}', '--error', 'b', '--retry', '60000'];
    t.match(await run(args, all), { code: 0, out: /^status +in_process\nretry +2/m });
    const { out } = await here('status', held.id, '--attempts', '--json');
    t.match(JSON.parse(out), {
      attempts: [{ end: 'retried', result: { outcome: 'fail', errors: [{ a: 1 }, { message: 'b' }] } }],
    });
    t.match(await here('complete', '--retry', 'often'), { code: EXIT.usage, err: /never, policy/ });
  });

  await t.test('a lease that is lost, or that nobody has named', async (t) => {
    const held = await leased('lost');
    const all = { env: { ...env, ...held } };
    t.match(await run(['hand-back'], all), { code: 0, out: '', err: '' });
    t.match(await run(['hand-back'], all), { code: 0, out: '' }, 'twice is once');
    t.match(await here('hand-back'), { code: EXIT.usage, err: /there is no --attempt/ });
    for (const args of [['extend', '--lease-ms', '5000'], ['complete']]) {
      t.match(
        await run(args, all),
        { code: EXIT.refused, out: '', err: /\(lease-lost\)\. \S/ },
        args.join(' '),
      );
      t.match(
        await here(...args),
        { code: EXIT.usage, err: /there is no --attempt.*--shell/ },
        args.join(' '),
      );
    }
  });

  await t.test('what a completion brings about', async (t) => {
    const held = await leased();
    const big = '{"n":123456789012345678901234567890}';
    const emit = ['--emit', `{"type":"emitted","body":${big}}`, '--emit', '{"type":"emitted"}'];
    const done = await run(['complete', ...emit], { env: { ...env, ...held } });
    const [, id = ''] = /^emitted +([0-9a-f-]{36}) emitted\nemitted +\S+ emitted\n$/m.exec(done.out) ?? [];
    t.equal((await here('request', id)).out, big);
    t.match((await here('status', id)).out, `parent      ${held.id}\nroot        ${held.id}\n`);
    t.match((await here('status', held.id, '--attempts')).out, `emitted     ${id}\n`);
    t.match(await here('complete', '--emit', '{'), { code: EXIT.usage, err: /JSON/ });
  });

  await t.test('a cascade is counted, waited for, and cancelled', async (t) => {
    const held = await leased();
    const emit = ['--emit', '{"type":"leaf"}', '--emit', '{"type":"leaf"}'];
    await run(['complete', ...emit], { env: { ...env, ...held } });
    t.match(
      (await here('tree', held.id, '--max', '1')).out,
      /^root +\S+\nsettled +no\npending +2\n[\s\S]*\nsuccess +1\n[\s\S]*\nemitted +2\nchild +\S+ pending leaf\n$/,
    );
    t.match(await here('tree', held.id, '--wait', '--timeout-ms', '50'), {
      code: EXIT.timedOut,
      out: /^settled +no$/m,
      err: /not settled in time\. It goes on/,
    });
    t.match((await here('lease', 'leaf')).code, 0);
    t.match(await here('cancel', held.id, '--tree'), {
      code: 0,
      out: /^cancelled +1\nrequested +1\ncomplete +1\n$/,
    });
    t.match(JSON.parse((await here('cancel', held.id, '--tree', '--json')).out), {
      cancelled: 1,
      requested: 1,
    });
  });

  await t.test('types are shown, changed field by field or as a whole, and paused', async (t) => {
    const shown = async (...args: string[]) => {
      const { code, out, err } = await here('types', ...args);
      t.equal(`${code} ${err}`, '0 ', args.join(' '));
      return out;
    };
    t.match(await here('types', 'show', 'mine'), { code: EXIT.refused, err: /\(type-not-found\)/ });
    t.match(
      await shown('set', 'mine', 'attemptsMax=3', 'backoff.firstMs=500', 'backoff.jitter=0'),
      /^type +mine\nversion +1\npaused +no\nopen +0\nattemptsMax +3 \(declared\)\nbackoff\.firstMs +500 \(declared\)\n/,
    );
    await shown('set', 'mine', 'backoff.firstMs=', 'backoff.jitter=', 'leaseMs=9000');
    const read = async () => JSON.parse(await shown('show', 'mine', '--json'));
    t.match(await read(), { version: 2 });
    t.same((await read()).declared, { attemptsMax: 3, leaseMs: 9_000 });

    t.match(await here('types', 'set', 'mine', 'leaseMs=1000', '--if-version', '1'), {
      code: EXIT.refused,
      err: /version 2 \(precondition-failed\)/,
    });
    t.match(await here('types', 'set', 'mine', 'attemptsMax=many'), {
      code: EXIT.refused,
      err: /attemptsMax/,
    });
    t.match(await here('types', 'set', 'mine'), { code: EXIT.usage, err: /nothing to declare/ });
    t.match(await here('types', 'set', 'mine', 'a=1', '--file', '-'), {
      code: EXIT.usage,
      err: /two things/,
    });
    t.match(await here('types', 'set', 'mine', 'leaseMs'), { code: EXIT.usage, err: /field=value/ });

    const whole = join(folder, 'whole.json');
    writeFileSync(whole, '{"backoff":{"capMs":1000000}}');
    await shown('set', 'mine', '--file', whole);
    t.same((await read()).declared, { backoff: { capMs: 1_000_000 } }, 'whatever was declared before');

    t.match(await shown('pause', 'mine'), /^paused +yes$/m);
    t.match(await shown('list'), /^ {3}3 {2}paused {2}mine {2}\{"backoff":\{"capMs":1000000\}\}$/m);
    t.match(await shown('resume', 'mine'), /^paused +no$/m);

    t.match(
      await shown('stats', 'mine'),
      /^waiting +0$[\s\S]*^listener default +0 waiting, .*, nobody has asked$/m,
    );
    t.match(JSON.parse(await shown('stats', 'mine', '--json')), {
      type: 'mine',
      open: 0,
      oldestWaitingMs: null,
    });
    t.match(await here('types', 'stats', 'none'), { code: EXIT.refused, err: /\(type-not-found\)/ });
    t.match(await here('types', 'delete', 'mine', '--if-version', '2'), { code: EXIT.refused });
    await shown('delete', 'mine');
    t.match(await read(), { version: 4, declared: null });
    const all = (await shown('list', '--json')).trim().split('\n');
    t.ok(all.some((line) => JSON.parse(line).type === 'mine'));
  });

  await t.test('listeners of a type are declared, listed and deleted', async (t) => {
    const filter = '{"path":"/users/*","version":["2"]}';
    t.match(await here('listeners', 'list', 'heard'), { code: EXIT.refused, err: /\(type-not-found\)/ });
    t.match(await here('listeners', 'set', 'heard', 'a b', '--responder'), {
      code: 0,
      out: /^listener +a b\nresponder +yes\n$/,
    });
    t.match(
      (await here('listeners', 'set', 'heard', 'c', '--filter', filter)).out,
      `filter      ${filter}\n`,
    );
    t.equal((await here('listeners', 'list', 'heard')).out, `responder  a b\n-          c  ${filter}\n`);
    const { out } = await here('listeners', 'list', 'heard', '--json');
    t.match(JSON.parse(out), { listeners: [{ name: 'a b' }, { name: 'c', filter: JSON.parse(filter) }] });
    const id = (await here('submit', 'heard', '1')).out.trim();
    t.match(
      await here('lease', 'heard', '--listener', 'c'),
      { code: EXIT.timedOut },
      'its filter lets nothing through',
    );
    t.match((await here('lease', 'heard', '--listener', 'a b')).out, `event       ${id}\n`);
    t.match(await here('listeners', 'delete', 'heard', 'c'), { code: 0, out: '', err: '' });
    t.match(await here('listeners', 'delete', 'heard', 'c'), {
      code: EXIT.refused,
      err: /\(listener-not-found\)/,
    });
    t.match(await here('listeners', 'set', 'heard', 'd', '--filter', '{'), { code: EXIT.usage, err: /JSON/ });
    t.match(await here('listeners', 'set', 'heard', 'd', '--filter', '{"path":"x"}'), {
      code: EXIT.refused,
      err: /\/filter\/path/,
    });
  });

  await t.test('cancelled, or asked for', async (t) => {
    const { id } = await client.submit('unwanted');
    t.match(await here('cancel', id), { code: 0, out: 'cancelled\n' });
    const held = await leased();
    t.match(JSON.parse((await here('cancel', held.id, '--json')).out), {
      kind: 'requested',
      event: { id: held.id },
    });
    t.match((await here('status', held.id)).out, /^cancel +requested$/m);
    const extended = await run(['extend', '--lease-ms', '5000'], { env: { ...env, ...held } });
    t.match(extended.out, /^expires +2.*\ncancel +requested\n$/);
    t.match(await here('wait', id), { code: EXIT.failed, err: /failed, cancelled\.\n$/ });
    t.match(await here('cancel', (await answered()).id), { code: EXIT.refused, err: /\(event-complete/ });
  });

  await t.test('an event that was not complete by its deadline has failed', async (t) => {
    const id = (await here('submit', 'hurried', '1', '--deadline-ms', '1000')).out.trim();
    t.match((await here('lease', 'hurried')).out, /^deadline +2/m);
    t.match(await here('wait', id), { code: EXIT.failed, out: /^reason +deadline$/m });
  });

  await t.test('a wait ends with its time', async (t) => {
    const { id } = await client.submit('slow');
    const { code, out, err } = await here('wait', id, '--timeout-ms', '50');
    t.match({ code, out }, { code: EXIT.timedOut, out: '' });
    t.match(err, `(timed-out, event ${id}). It goes on`);
    const submitted = await here('submit', 'slow', '--wait', '--timeout-ms', '50', '--json');
    t.match(JSON.parse(submitted.err), { error: { exitCode: 6, problem: { code: 'timed-out', id: /-/ } } });
  });

  await t.test('lists, newest first', async (t) => {
    const ids: string[] = [];
    for (const body of ['1', '2', '3']) ids.unshift((await here('submit', 'listed', body)).out.trim());
    const { out } = await here('list', '--type', 'listed', '--max', '2', '--status', 'pending');
    t.same(
      out.split('\n').map((line) => line.split(' ')[0]),
      [...ids.slice(0, 2), ''],
    );
    const { out: json } = await here('list', '--type', 'listed', '--json');
    t.same(
      json
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).id),
      ids,
    );
    t.match(await here('list', '--status', 'open'), {
      code: EXIT.usage,
      err: /pending, in_process, complete/,
    });
  });

  await t.test('what others have written does not reach the terminal as it is', async (t) => {
    const held = await leased('evil');
    await run(['complete', '--fail', '--error', '"\\u001b[2J\\u202e"'], { env: { ...env, ...held } });
    const { out } = await here('status', held.id);
    t.match(out, /^error .*\\u001b\[2J\\u202e/m);
    t.notMatch(out, NOT_SHOWN);
    await client.submit('evil\u009b\u001b]0;x');
    t.notMatch((await here('list')).out, NOT_SHOWN);
  });

  await t.test('no such event', async (t) => {
    const id = '019306a4-8f4c-7c2b-8d0a-3f6f4f1d2b10';
    for (const command of ['status', 'wait', 'response', 'request', 'cancel']) {
      const { code, out, err } = await here(command, id);
      t.match({ code, out }, { code: EXIT.refused, out: '' }, command);
      t.match(err, /^clockwork: .*\(event-not-found.*\)\.\n$/, command);
    }
    const { err } = await here('status', id, '--json');
    t.match(JSON.parse(err), {
      error: {
        exitCode: 4,
        message: String,
        problem: { code: 'event-not-found', status: 404 },
      },
    });
  });

  await t.test('a service that is away', async (t) => {
    const away = `http://127.0.0.1:${await freePort()}`;
    const { code, out, err } = await run(['status', 'x', '--url', away, '--tries', '1']);
    t.match({ code, out }, { code: EXIT.unreachable, out: '' });
    t.match(
      err,
      /^clockwork: GET \/v1\/events\/x: There was no answer \(.*ECONNREFUSED.*\)\. Is Clockwork running/,
    );
    const waited = await run(['wait', 'x', '--url', away, '--timeout-ms', '50']);
    t.match(waited, { code: EXIT.timedOut }, 'with a time, a wait outlasts it');
    for (const url of ['localhost:7420', 'ftp://x', '']) {
      t.match(await run(['list', '--url', url]), { code: EXIT.usage, err: /no URL of a service/ }, url);
    }
    t.match(await here('list', '-H', 'no header'), { code: EXIT.usage, err: /Name: value/ });
    t.match(await here('list', '-H', 'a: \u2603'), { code: EXIT.usage, err: /Latin 1/ });
    t.match(await here('submit', 'x', '--idempotency-key', '\u2603'), { code: EXIT.usage, err: /Latin 1/ });
  });
});
