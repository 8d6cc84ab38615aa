import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ICNS_TYPES, renderPackageIcons } from '../../../build/package-icons.mjs';
import { readPng } from './png.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'package-icons-'));
  await renderPackageIcons(folder);
});
afterAll(() => rm(folder, { recursive: true }));

/** The PNGs of an Apple Icon Image by their types; it has its length in its head, like each of them. */
function membersOf(icon: Buffer): Map<string, Buffer> {
  expect(icon.toString('latin1', 0, 4)).toBe('icns');
  expect(icon.readUInt32BE(4)).toBe(icon.length);
  const members = new Map<string, Buffer>();
  for (let at = 8; at < icon.length; ) {
    const end = at + icon.readUInt32BE(at + 4);
    members.set(icon.toString('latin1', at, at + 4), icon.subarray(at + 8, end));
    at = end;
  }
  return members;
}

describe('the icon of the macOS package', () => {
  it('has each size', async () => {
    const members = membersOf(await readFile(join(folder, 'app.icns')));
    const sizes = [...members].map(([type, png]) => {
      const { width, height } = readPng(png);
      expect(width).toBe(height);
      return [type, width];
    });
    expect(Object.fromEntries(sizes)).toEqual(ICNS_TYPES);
  });

  it("keeps the margins of Apple's grid: 824 of 1024 points", async () => {
    const png = membersOf(await readFile(join(folder, 'app.icns'))).get('ic10') ?? Buffer.alloc(0);
    const { width, pixels } = readPng(png);
    const columns = pixels.flatMap(({ alpha }, index) => (alpha > 128 ? [index % width] : []));
    const rows = pixels.flatMap(({ alpha }, index) => (alpha > 128 ? [Math.floor(index / width)] : []));
    for (const places of [columns, rows]) {
      const [first, last] = places.reduce(
        ([low, high], at) => [Math.min(low, at), Math.max(high, at)],
        [width, 0],
      );
      expect([first, last]).toEqual([100, 923]);
    }
  });
});

it('the icons of the Linux packages have the sizes in their names', async () => {
  const names = await readdir(join(folder, 'linux'));
  expect(names).toContain('256x256.png');
  for (const name of names) {
    const { width, height } = readPng(await readFile(join(folder, 'linux', name)));
    expect(name).toBe(`${width}x${height}.png`);
  }
});
