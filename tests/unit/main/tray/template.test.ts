import type { MenuItemConstructorOptions } from 'electron';
import { describe, expect, it } from 'vitest';
import { type MenuEntry, trayMenu } from '../../../../main/tray/menu.ts';
import { menuTemplate } from '../../../../main/tray/template.ts';
import { appView, loggedIn, NOW, serverView } from './views.ts';

/** Clicks as Electron does, but for what it hands over, which nobody reads. */
const click = (item: MenuItemConstructorOptions | undefined) =>
  Reflect.apply(item?.click ?? fail, undefined, []);
function fail(): never {
  throw new Error('nothing to click');
}

describe('menuTemplate', () => {
  it('has every item of the menu with its id', () => {
    const menu = trayMenu(appView([loggedIn(), serverView({ id: 'notes' })]), NOW);
    const ids = (items: readonly MenuItemConstructorOptions[]): (string | undefined)[] =>
      items.flatMap(({ id, submenu }) => [id, ...(Array.isArray(submenu) ? ids(submenu) : [])]);
    const entryIds = (entries: readonly MenuEntry[]): string[] =>
      entries.flatMap(({ id, submenu = [] }) => [id, ...entryIds(submenu)]);
    expect(ids(menuTemplate(menu, fail))).toEqual(entryIds(menu));
  });

  it('shows an ampersand of a name as one', () => {
    const [item] = menuTemplate([{ id: 'a', label: 'R&D && more' }], fail);
    expect(item?.label).toBe('R&&D &&&& more');
  });

  it('says which entry was clicked', () => {
    const menu = trayMenu(appView([serverView()]), NOW);
    const clicked: string[] = [];
    const template = menuTemplate(menu, ({ id }) => clicked.push(id));
    click(template.find(({ label }) => label === 'Log in…'));
    click(template.find(({ type }) => type === 'checkbox'));
    expect(clicked).toEqual(['server:craft:log-in', 'app:start-at-login']);
  });

  it('keeps what is disabled, ticked and a separator', () => {
    const template = menuTemplate(trayMenu(appView([], { startAtLogin: true }), NOW), fail);
    expect(template[0]).toMatchObject({ label: 'No server yet', enabled: false });
    expect(template.find(({ type }) => type === 'checkbox')).toMatchObject({ checked: true, enabled: true });
    expect(template.filter(({ type }) => type === 'separator')).toHaveLength(2);
  });
});
