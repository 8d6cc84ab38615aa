import { mkdtemp, readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderIcons } from '../../../build/icons.mjs';
import { readPng } from './png.ts';

const STATES = ['logged-out', 'logged-in', 'busy', 'attention', 'offline'];
const PAIRS = STATES.flatMap((one, index) => STATES.slice(index + 1).map((other) => [one, other] as const));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'icons-'));
  await renderIcons(folder);
});
afterAll(() => rm(folder, { recursive: true }));

const read = async (name: string) => readPng(await readFile(join(folder, name)));

describe('the icons', () => {
  it('are all there, in their sizes', async () => {
    const sizes: Record<string, number> = { 'app-256.png': 256 };
    for (const state of STATES) {
      sizes[`${state}Template.png`] = 16;
      sizes[`${state}Template@2x.png`] = 32;
      sizes[`${state}.png`] = 22;
      sizes[`${state}@2x.png`] = 44;
    }
    const found = (await readdir(folder)).map(async (name) => {
      const { width, height } = await read(name);
      expect(width).toBe(height);
      return [name, width] as const;
    });
    expect(Object.fromEntries(await Promise.all(found))).toEqual(sizes);
  });

  it.each(STATES)('%s is a template image: black and alpha alone', async (state) => {
    for (const name of [`${state}Template.png`, `${state}Template@2x.png`]) {
      const { pixels } = await read(name);
      const visible = pixels.filter(({ alpha }) => alpha > 0);
      expect(visible.length).toBeGreaterThan(0);
      expect(visible.filter(({ red, green, blue }) => red + green + blue > 0)).toEqual([]);
    }
  });

  it.each(STATES)('%s can be read on light and on dark panels of Linux', async (state) => {
    const { pixels } = await read(`${state}.png`);
    const opaque = pixels.filter(({ alpha }) => alpha > 200);
    expect(opaque.filter(({ red }) => red > 230).length).toBeGreaterThan(20);
    expect(opaque.filter(({ red }) => red < 60).length).toBeGreaterThan(10);
  });

  it.each(PAIRS)('%s and %s differ in shape at the smallest size', async (one, other) => {
    const [left, right] = [await read(`${one}Template.png`), await read(`${other}Template.png`)];
    const differing = left.pixels.filter(
      ({ alpha }, index) => Math.abs(alpha - (right.pixels[index]?.alpha ?? 0)) > 96,
    );
    // Of 256 pixels, of which the outline that all have in common fills about 60.
    expect(differing.length).toBeGreaterThan(15);
  });
});

describe('renderIcons', () => {
  it('answers with every file and renders only what is older than its source', async () => {
    const old = join(folder, 'busyTemplate.png');
    const fresh = join(folder, 'offlineTemplate.png');
    await utimes(old, 1, 1);
    const before = (await stat(fresh)).mtimeMs;
    const names = (await renderIcons(folder)).map((path) => basename(path));
    expect(names.sort()).toEqual((await readdir(folder)).sort());
    expect((await stat(old)).mtimeMs).toBeGreaterThan(1000);
    expect((await stat(fresh)).mtimeMs).toBe(before);
  });
});
