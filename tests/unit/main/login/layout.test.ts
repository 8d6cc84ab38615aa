import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { pageBounds, windowBounds } from '../../../../main/login/layout.ts';

it('puts the window in the middle of the screen it is on', () => {
  expect(windowBounds({ x: 1440, y: 25, width: 1920, height: 1055 })).toEqual({
    x: 2120,
    y: 163,
    width: 560,
    height: 780,
  });
});

it('makes the window fit a small screen', () => {
  expect(windowBounds({ x: 0, y: 25, width: 480, height: 600 })).toEqual({
    x: 12,
    y: 37,
    width: 456,
    height: 576,
  });
});

it('puts the page below the bar, and below what the bar has to say', async () => {
  const bar = pageBounds({ width: 560, height: 780 }, false);
  const strip = pageBounds({ width: 560, height: 780 }, true);
  expect(bar).toEqual({ x: 0, y: 52, width: 560, height: 728 });
  expect(strip).toEqual({ x: 0, y: 132, width: 560, height: 648 });
  expect(pageBounds({ width: 560, height: 40 }, true).height).toBe(0);

  const style = await readFile(new URL('../../../../renderer/login/style.css', import.meta.url), 'utf8');
  const heightOf = (rule: string) => new RegExp(`\\n${rule} \\{[^}]*?\\bheight: (\\d+)px`).exec(style)?.[1];
  expect(heightOf('\\.bar')).toBe(String(bar.y));
  expect(heightOf('\\.strip')).toBe(String(strip.y - bar.y));
});
