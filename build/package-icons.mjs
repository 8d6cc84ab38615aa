// @ts-check
// The app's icon as packages want it: an .icns for macOS, PNGs for Linux, both from the one SVG and on any system.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toPng } from './icons.mjs';
import { ROOT } from './process.mjs';

/** The members of an .icns that hold a PNG, with their sizes in pixels: 16 and 32 points for Retina displays, then both. */
export const ICNS_TYPES = /** @type {const} */ ({
  ic11: 32,
  ic12: 64,
  ic07: 128,
  ic13: 256,
  ic08: 256,
  ic14: 512,
  ic09: 512,
  ic10: 1024,
});

/** Sizes of the hicolor icon theme, in pixels. */
const LINUX_SIZES = [16, 24, 32, 48, 64, 128, 256, 512];

/**
 * @param {string} folder where `app.icns` and `linux/` go
 */
export async function renderPackageIcons(folder) {
  const svg = await readFile(join(ROOT, 'build/icons/app.svg'), 'utf8');
  const linux = join(folder, 'linux');
  await mkdir(linux, { recursive: true });
  await Promise.all([
    ...LINUX_SIZES.map(async (size) => writeFile(join(linux, `${size}x${size}.png`), await toPng(svg, size))),
    writeIcns(join(folder, 'app.icns'), svg),
  ]);
}

async function writeIcns(/** @type {string} */ file, /** @type {string} */ svg) {
  const members = Object.entries(ICNS_TYPES).map(
    async ([type, size]) => /** @type {const} */ ([type, await toPng(svg, size)]),
  );
  await writeFile(file, packIcns(await Promise.all(members)));
}

/**
 * Packs an Apple Icon Image: a head, then the members; each begins with its type and its length, head included.
 *
 * @param {readonly (readonly [type: string, png: Buffer])[]} members
 */
export function packIcns(members) {
  const body = Buffer.concat(members.map(([type, png]) => chunk(type, png)));
  return chunk('icns', body);
}

function chunk(/** @type {string} */ type, /** @type {Buffer} */ data) {
  const head = Buffer.alloc(8);
  head.write(type, 'latin1');
  head.writeUInt32BE(head.length + data.length, 4);
  return Buffer.concat([head, data]);
}
