/** The documents stay true where a program can tell: links lead somewhere, and the map has every folder. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import t from 'tap';

const SKIPPED = new Set(['node_modules', 'dist', 'data', '.git', '.tap']);

function documents(folder = '.'): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (SKIPPED.has(entry.name)) return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return documents(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

/** As GitHub makes it: lower case, without punctuation, hyphens for spaces. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

function anchorsIn(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.+)$/gm)].map((match) => anchorOf(match[1]!));
}

/** Links of `path` that lead nowhere. */
function brokenLinks(path: string, markdown: string): string[] {
  const links = [...markdown.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1]!);
  return links.filter((link) => {
    if (/^[a-z]+:/.test(link)) return false;
    const [file = '', anchor] = link.split('#');
    const target = file === '' ? path : join(dirname(path), file);
    if (!existsSync(target)) return true;
    const text = file === '' ? markdown : anchor === undefined ? '' : readFileSync(target, 'utf8');
    return anchor !== undefined && !anchorsIn(text).includes(anchor);
  });
}

function foldersOf(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => [posix.join(folder, entry.name), ...foldersOf(posix.join(folder, entry.name))]);
}

t.test('links lead somewhere', async (t) => {
  for (const path of documents()) t.same(brokenLinks(path, readFileSync(path, 'utf8')), [], path);
  t.same(
    brokenLinks('README.md', '[a](nowhere.md) [b](#no-such) [c](LICENSE) [d](https://example.org)\n'),
    ['nowhere.md', '#no-such'],
    'those that do not are found',
  );
});

t.test('the map has every folder and every file at the top of src, and no other', async (t) => {
  const map = readFileSync('src/README.md', 'utf8');
  const named = [...map.matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1]!);
  const top = readdirSync('src').filter((name) => name.endsWith('.ts'));
  const folders = foldersOf('src').map((path) => `${posix.relative('src', path)}/`);
  t.same(named.sort(), [...top, ...folders.filter((path) => !path.includes('lua'))].sort());
});
