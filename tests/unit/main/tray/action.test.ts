import { describe, expect, it } from 'vitest';
import type { TrayActions } from '../../../../main/actions.ts';
import { perform } from '../../../../main/tray/action.ts';
import { type MenuEntry, trayMenu } from '../../../../main/tray/menu.ts';
import { appView, NOW, serverView } from './views.ts';

function recorder(): { actions: TrayActions; done: unknown[][] } {
  const done: unknown[][] = [];
  const record =
    (name: string) =>
    (...given: unknown[]) =>
      void done.push([name, ...given]);
  const actions: TrayActions = {
    logIn: record('logIn'),
    logOut: record('logOut'),
    copyMcpUrl: record('copyMcpUrl'),
    copyForClient: record('copyForClient'),
    openWindow: record('openWindow'),
    openLog: record('openLog'),
    setStartAtLogin: record('setStartAtLogin'),
    openNewVersion: record('openNewVersion'),
    showAbout: record('showAbout'),
    quit: record('quit'),
  };
  return { actions, done };
}

describe('perform', () => {
  it('does what each item of the menu says', () => {
    const { actions, done } = recorder();
    const flat = (menu: readonly MenuEntry[]): MenuEntry[] =>
      menu.flatMap((entry) => [entry, ...flat(entry.submenu ?? [])]);
    const updates = { canLook: true, available: '2.0.0' };
    for (const { action } of flat(trayMenu(appView([serverView()], { updates }), NOW))) {
      if (action) perform(action, actions);
    }
    expect(done).toEqual([
      ['logIn', 'craft', 'popup'],
      ['logIn', 'craft', 'browser'],
      ['logOut', 'craft'],
      ['copyMcpUrl', 'craft'],
      ['copyForClient', 'craft', 'kimi-cli'],
      ['copyForClient', 'craft', 'claude-code'],
      ['copyForClient', 'craft', 'codex'],
      ['copyForClient', 'craft', 'gemini-cli'],
      ['copyForClient', 'craft', 'cursor'],
      ['copyForClient', 'craft', 'vs-code'],
      ['openWindow'],
      ['openLog'],
      ['setStartAtLogin', true],
      ['openNewVersion'],
      ['showAbout'],
      ['quit'],
    ]);
  });
});
