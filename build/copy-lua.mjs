/** Puts the Lua scripts beside the compiled code that loads them: the compiler leaves them behind. */
import { cpSync, rmSync } from 'node:fs';

const FOLDER = 'src/store/redis/lua';

rmSync(`dist/${FOLDER}`, { recursive: true, force: true });
cpSync(FOLDER, `dist/${FOLDER}`, { recursive: true });
