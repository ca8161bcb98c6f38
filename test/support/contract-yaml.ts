/** The contract as the text of `openapi.yaml`, and as a document, made from the routes. */
import { pino } from 'pino';
import { type AppDeps, buildApp } from '../../src/app.js';
import { readConfig } from '../../src/config.js';
import { Metrics } from '../../src/metrics/metrics.js';

/** An application whose routes nobody may call: for looking at them. */
export async function unusedApp(): Promise<Awaited<ReturnType<typeof buildApp>>> {
  const app = await buildApp({
    queue: {} as AppDeps['queue'],
    feed: {} as AppDeps['feed'],
    config: readConfig({}),
    logger: pino({ level: 'silent' }),
    metrics: new Metrics(),
    health: () => Promise.reject(new Error('nothing to ask')),
  });
  await app.ready();
  return app;
}

export async function contractYaml(): Promise<string> {
  const app = await unusedApp();
  const yaml = app.swagger({ yaml: true });
  await app.close();
  return yaml;
}
