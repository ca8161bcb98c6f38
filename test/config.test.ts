/** Configuration: defaults, bounds, what a bad value is answered with, and what the log may show of it. */
import t from 'tap';
import { type Config, ConfigError, describeConfig, readConfig, SETTINGS } from '../src/config.js';

function refusal(environment: Record<string, string>): { variable: string; message: string } {
  try {
    readConfig(environment);
  } catch (error) {
    if (error instanceof ConfigError) return { variable: error.variable, message: error.message };
    throw error;
  }
  return { variable: '', message: 'was taken' };
}

t.test('without an environment every setting has its default, and the whole is frozen', async (t) => {
  const config = readConfig({});
  for (const [name, { fallback }] of Object.entries(SETTINGS))
    t.same(config[name as keyof Config], fallback, name);
  t.ok(Object.isFrozen(config));
  t.same(readConfig({ PORT: '', REDIS_URL: '' }), config, 'set but empty is not set');
});

t.test('every number is taken at its bounds and refused beyond, with the name of its variable', async (t) => {
  for (const { variable, allowed } of Object.values(SETTINGS)) {
    const bounds = /number, (\d+) to (\d+)$/.exec(allowed);
    if (variable === null || bounds === null) continue;
    const [min, max] = [Number(bounds[1]), Number(bounds[2])];
    const others: Record<string, string> = {
      BACKOFF_FIRST_MS: '0',
      BACKOFF_MS_MAX: String(30 * 86_400_000),
      REDIS_URL: 'redis://x',
    };
    const of = (value: string) => refusal({ ...others, [variable]: value });
    for (const good of [min, max]) t.equal(of(String(good)).variable, '', `${variable}=${good}`);
    const bad = [String(max + 1), '-1', 'x', '1e3', ' 1', '0x10', ...(min > 0 ? [String(min - 1)] : [])];
    for (const value of bad) {
      const { variable: named, message } = of(value);
      t.equal(named, variable, `${variable}=${value}`);
      t.ok(message.includes(variable) && message.includes(allowed), message);
    }
  }
});

t.test('text, choices and lists are checked', async (t) => {
  const bad = {
    HOST: 'a b',
    LOG_LEVEL: 'loud',
    TRUST_PROXY: 'yes',
    REDIS_URL: 'http://x',
    REDIS_PREFIX: 'a b',
    S3_BUCKET: 'x',
    S3_ENDPOINT: 'ftp://x',
    S3_PREFIX: 'no-slash',
    CORS_ORIGINS: 'https://a.example/path',
    REDACT_HEADERS: 'a b',
    DATA_DIR: 'a\0b',
  };
  for (const [variable, value] of Object.entries(bad))
    t.equal(refusal({ [variable]: value }).variable, variable);
  t.same(readConfig({ CORS_ORIGINS: 'https://a.example, http://b:8080' }).corsOrigins, [
    'https://a.example',
    'http://b:8080',
  ]);
  t.equal(readConfig({ REDIS_URL: 'redis+cluster://a:1,b:2' }).redisUrl, 'redis+cluster://a:1,b:2');
  t.equal(refusal({ BACKOFF_FIRST_MS: '1000', BACKOFF_MS_MAX: '999' }).variable, 'BACKOFF_MS_MAX');
});

t.test('beyond loopback nobody is served by mistake', async (t) => {
  for (const host of ['127.0.0.1', '127.9.9.9', '::1', 'localhost'])
    t.equal(readConfig({ HOST: host }).host, host);
  for (const host of ['0.0.0.0', '::', 'example.org', '127.0.0.1.example.org']) {
    const { variable, message } = refusal({ HOST: host });
    t.equal(variable, 'HOST', host);
    t.match(message, /HOST=127\.0\.0\.1.*ALLOW_ANONYMOUS=true/s, 'it names both ways');
    t.equal(readConfig({ HOST: host, ALLOW_ANONYMOUS: 'true' }).host, host);
  }
});

t.test('no secret is ever shown', async (t) => {
  const environment = {
    REDIS_URL: 'rediss://user:hush@redis.example:6379/1?password=hush',
    S3_ENDPOINT: 'https://key:hu@sh@s3.example',
    PORT: '8080',
  };
  const described = describeConfig(readConfig(environment));
  t.same(described, {
    PORT: 8080,
    REDIS_URL: 'rediss://redis.example:6379/1',
    S3_ENDPOINT: 'https://s3.example',
  });
  t.notOk(refusal({ REDIS_URL: 'reddis://user:hush@redis.example' }).message.includes('hush'));
  t.same(describeConfig(readConfig({})), {});
});
