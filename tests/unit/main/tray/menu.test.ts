import { describe, expect, it } from 'vitest';
import { type MenuEntry, trayMenu } from '../../../../main/tray/menu.ts';
import type { AppView, ServerState } from '../../../../main/view.ts';
import { appView, loggedIn, NOW, serverView } from './views.ts';

const SERVER_ITEMS = ['Log in…', 'Log in with browser…', 'Log out', 'Copy MCP URL', 'Add to'];
const APP_ITEMS = [
  'Open MCP Auth Proxy',
  'Open log',
  'Start at login',
  'About MCP Auth Proxy',
  'Quit MCP Auth Proxy',
];
const CLIENTS = ['kimi-cli', 'Claude Code', 'Codex', 'Gemini CLI', 'Cursor', 'VS Code'];

describe('the tray menu', () => {
  it('has the items of a single server on top, then those of the app', () => {
    const menu = trayMenu(appView([loggedIn()]), NOW);
    const status = 'mcp.craft.do: logged in, refreshed 3 min ago, expires in 42 min';
    expect(labels(menu)).toEqual([status, ...SERVER_ITEMS, ...APP_ITEMS]);
    expect(labels(at(menu, 'Add to').submenu ?? [])).toEqual(CLIENTS);
    expect(menu[0]).toEqual({ id: 'server:craft:status', label: status, enabled: false });
  });

  it('has a submenu for each of several servers', () => {
    const menu = trayMenu(appView([loggedIn(), serverView({ id: 'notes', name: 'Notes' })]), NOW);
    expect(labels(menu)).toEqual(['mcp.craft.do: logged in', 'Notes: logged out', ...APP_ITEMS]);
    expect(labels(menu[1]?.submenu ?? [])).toEqual(['Notes: logged out', ...SERVER_ITEMS]);
    expect(at(menu, 'Notes: logged out', 'Log in…').action).toEqual({
      kind: 'log-in',
      serverId: 'notes',
      way: 'popup',
    });
  });

  it('keeps its shape when there is no server, with the items that make no sense disabled', () => {
    const menu = trayMenu(appView([]), NOW);
    expect(labels(menu)).toEqual(['No server yet', ...SERVER_ITEMS, ...APP_ITEMS]);
    expect(enabled(menu)).toEqual(APP_ITEMS);
    expect(enabled(at(menu, 'Add to').submenu ?? [])).toEqual([]);
  });

  it.each<[ServerState, string[]]>([
    ['logged_out', ['Log in…', 'Log in with browser…', 'Copy MCP URL', 'Add to']],
    ['login_required', ['Log in…', 'Log in with browser…', 'Copy MCP URL', 'Add to']],
    ['logging_in', ['Log in…', 'Log in with browser…', 'Copy MCP URL', 'Add to']],
    ['error', ['Log in…', 'Log in with browser…', 'Copy MCP URL', 'Add to']],
    ['authenticated', ['Log out', 'Copy MCP URL', 'Add to']],
    ['not_required', ['Copy MCP URL', 'Add to']],
    ['starting', ['Copy MCP URL', 'Add to']],
    ['failed', []],
  ])('%s: what can be done', (state, items) => {
    const menu = trayMenu(appView([serverView({ state })]), NOW);
    expect(enabled(menu)).toEqual([...items, ...APP_ITEMS]);
  });

  it('offers another login where the present one does not reach far enough', () => {
    const menu = trayMenu(appView([loggedIn({ wantsMoreAccess: true })]), NOW);
    expect(enabled(menu)).toEqual([...SERVER_ITEMS, ...APP_ITEMS]);
  });

  it('logs in by the preferred way, and by the browser when that is asked for', () => {
    const settings = { ...appView([]).settings, loginWay: 'browser' } as const;
    const view = appView([serverView()]);
    expect(at(trayMenu(view, NOW), 'Log in…').action).toMatchObject({ way: 'popup' });
    expect(at(trayMenu({ ...view, settings }, NOW), 'Log in…').action).toMatchObject({ way: 'browser' });
    expect(at(trayMenu(view, NOW), 'Log in with browser…').action).toMatchObject({ way: 'browser' });
  });

  it.each([
    [true, { enabled: true, checked: true, action: { kind: 'start-at-login', on: false } }],
    [false, { enabled: true, checked: false, action: { kind: 'start-at-login', on: true } }],
    [undefined, { enabled: false, checked: false }],
  ])('shows whether the app starts at login: %s', (startAtLogin, item) => {
    expect(at(trayMenu(appView([], { startAtLogin }), NOW), 'Start at login')).toMatchObject(item);
  });

  it('says above About that there is a new version, as long as there is one', () => {
    const updates = { canLook: true, available: '1.3.0-beta.1' };
    const menu = trayMenu(appView([loggedIn()], { updates }), NOW);
    const above = labels(menu).slice(-3);
    expect(above).toEqual([
      'Version 1.3.0-beta.1 is available…',
      'About MCP Auth Proxy',
      'Quit MCP Auth Proxy',
    ]);
    expect(at(menu, 'Version 1.3.0-beta.1 is available…').action).toEqual({ kind: 'open-new-version' });
    expect(flat(trayMenu(appView([loggedIn()]), NOW)).map(({ id }) => id)).not.toContain('app:new-version');
  });

  it('gives every item an id of its own, and the same one in every state', () => {
    const views: AppView[] = [
      appView([loggedIn(), serverView({ id: 'notes' })]),
      appView([serverView({ state: 'failed' }), loggedIn({ id: 'notes' })], { online: false }),
    ];
    const [before, after] = views.map((view) => flat(trayMenu(view, NOW)).map(({ id }) => id));
    expect(new Set(before).size).toBe(before?.length);
    expect(after).toEqual(before);
  });

  it('is plain data', () => {
    const menu = trayMenu(appView([loggedIn(), serverView({ id: 'notes' })]), NOW);
    expect(JSON.parse(JSON.stringify(menu))).toEqual(menu);
  });
});

function labels(menu: readonly MenuEntry[]): string[] {
  return menu.filter(({ type }) => type !== 'separator').map(({ label }) => label);
}

function enabled(menu: readonly MenuEntry[]): string[] {
  return labels(menu.filter((entry) => entry.enabled !== false));
}

function flat(menu: readonly MenuEntry[]): MenuEntry[] {
  return menu.flatMap((entry) => [entry, ...flat(entry.submenu ?? [])]);
}

function at(menu: readonly MenuEntry[], label: string, ...rest: string[]): MenuEntry {
  const entry = menu.find((candidate) => candidate.label === label);
  if (entry === undefined) throw new Error(`no item ${label}`);
  const [next, ...others] = rest;
  return next === undefined ? entry : at(entry.submenu ?? [], next, ...others);
}
