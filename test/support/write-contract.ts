/** Writes `openapi.yaml` anew: `npm run openapi`. */
import { writeFileSync } from 'node:fs';
import { contractYaml } from './contract-yaml.js';

writeFileSync('openapi.yaml', await contractYaml());
