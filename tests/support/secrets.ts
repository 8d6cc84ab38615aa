import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

/** Where something may show, by name. */
export type Places = ReadonlyMap<string, Buffer | string>;

/** Shorter parts of an encoded text turn up by chance. */
const SHORTEST_ENCODED = 12;

/** A secret as it is, and as it stands in JSON, in a URL, in a form, in hexadecimal and in Base64. */
export function spellingsOf(secret: string): readonly string[] {
  const hex = Buffer.from(secret).toString('hex');
  return [
    ...new Set([
      secret,
      JSON.stringify(secret).slice(1, -1),
      encodeURIComponent(secret),
      new URLSearchParams({ '': secret }).toString().slice(1),
      ...[hex, hex.toUpperCase(), ...base64Of(secret)].filter(({ length }) => length >= SHORTEST_ENCODED),
    ]),
  ];
}

/** What is the same in Base64 and its URL-safe form whatever stands around a text, as in `Basic` credentials. */
function base64Of(text: string): string[] {
  return [0, 1, 2].flatMap((before) => {
    const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(text)]);
    const whole = bytes.toString('base64').replace(/=+$/, '');
    const first = Math.ceil((before * 8) / 6);
    const inner = whole.slice(first, Math.floor((bytes.length * 8) / 6));
    return [inner, inner.replaceAll('+', '-').replaceAll('/', '_')];
  });
}

/** Names of the places in which a text stands, in any spelling, also as UTF-16. */
export function placesOf(text: string, places: Places): string[] {
  const spellings = spellingsOf(text).flatMap((spelling) => [
    Buffer.from(spelling),
    Buffer.from(spelling, 'utf16le'),
  ]);
  return [...places]
    .filter(([, content]) => {
      const bytes = Buffer.from(content);
      return spellings.some((spelling) => bytes.includes(spelling));
    })
    .map(([name]) => name);
}

/** Each secret that shows, cut to its first characters, and where; none when all are kept. */
export function leaksOf(secrets: Iterable<string>, places: Places): string[] {
  return [...secrets].flatMap((secret) =>
    placesOf(secret, places).map((place) => `${secret.slice(0, 4)}… in ${place}`),
  );
}

/** The paths and contents of all files below a folder. */
export async function filesBelow(folder: string): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isFile()) files.set(file, await readFile(file));
  }
  return files;
}

/** The command lines of all processes, of whatever user. */
export async function processList(): Promise<string> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-ww', '-o', 'args='], { maxBuffer: 2 ** 26 });
  return stdout;
}
