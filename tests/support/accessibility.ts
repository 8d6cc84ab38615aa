import axe, { type AxeResults } from 'axe-core';
import type { Page } from 'playwright';
import { expect } from 'vitest';
import { picture } from './app.ts';
import type { RunningApp } from './electron.ts';

/** What axe-core finds in a page, and names what it is about. */
export async function faultsOf(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  return page.evaluate(async () => {
    const { axe: checker } = globalThis as unknown as { axe: { run(how: object): Promise<AxeResults> } };
    const { violations } = await checker.run({
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  });
}

/** Looks at the window in both of its looks, with the accessibility checker and, if anybody wants it, a camera. */
export async function inspect({ app }: RunningApp, page: Page, name: string): Promise<void> {
  // Playwright plays the system's look unless it is told not to.
  await page.emulateMedia({ colorScheme: null });
  for (const theme of ['dark', 'light'] as const) {
    await app.evaluate(({ nativeTheme }, source) => {
      nativeTheme.themeSource = source;
    }, theme);
    await page.waitForFunction(`matchMedia('(prefers-color-scheme: ${theme})').matches`);
    // Half-way colours are nobody's choice.
    await page.evaluate('Promise.allSettled(document.getAnimations().map(({ finished }) => finished))');
    await picture(page, `window-${name}-${theme}`);
    expect(await faultsOf(page), `${name}, ${theme}`).toEqual([]);
  }
}
