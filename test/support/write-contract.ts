/** Writes `openapi.yaml`, and the types that the SDK takes from it, anew: `npm run openapi`. */
import { writeFileSync } from 'node:fs';
import { contractTypes } from './contract-types.js';
import { contractYaml } from './contract-yaml.js';

const yaml = await contractYaml();
writeFileSync('openapi.yaml', yaml);
writeFileSync('src/sdk/wire.ts', contractTypes(yaml));
