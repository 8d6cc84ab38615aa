import type { MenuItemConstructorOptions } from 'electron';
import { describe, expect, it } from 'vitest';
import { applicationMenu } from '../../../../main/windows/menu.ts';

const NAME = 'MCP Auth Proxy';
const PLATFORMS = ['darwin', 'linux', 'win32'] as const;

describe.each(PLATFORMS)('the application menu on %s', (platform) => {
  const done: string[] = [];
  const template = applicationMenu(
    NAME,
    { showAbout: () => done.push('about'), quit: () => done.push('quit') },
    platform,
  );

  it('lets people cut, copy, paste and select all by keyboard', () => {
    const roles = entriesOf(template).map(({ role }) => role);
    expect(roles).toEqual(
      expect.arrayContaining(['undo', 'redo', 'cut', 'copy', 'paste', 'selectAll', 'close']),
    );
  });

  it('offers no developer tools and no reload', () => {
    const roles = entriesOf(template).map(({ role }) => role);
    for (const role of ['toggleDevTools', 'reload', 'forceReload', 'viewMenu', 'windowMenu'])
      expect(roles).not.toContain(role);
  });

  it('says what the app is, and quits it', () => {
    for (const id of ['about', 'quit']) {
      const entry = entriesOf(template).find((candidate) => candidate.id === id);
      expect(entry?.label).toContain(NAME);
      // What Electron hands in is of no interest here.
      (entry?.click as (() => void) | undefined)?.();
    }
    expect(done).toEqual(['about', 'quit']);
  });
});

it('begins with the app itself on macOS', () => {
  const [first] = applicationMenu(NAME, { showAbout() {}, quit() {} }, 'darwin');
  expect(first?.label).toBe(NAME);
});

function entriesOf(template: readonly MenuItemConstructorOptions[]): MenuItemConstructorOptions[] {
  return template.flatMap((entry) =>
    Array.isArray(entry.submenu) ? [entry, ...entriesOf(entry.submenu)] : [entry],
  );
}
