import { describe, expect, it } from 'vitest';
import { type TrayIcon, trayIcon, trayToolTip } from '../../../../main/tray/icon.ts';
import type { ServerState } from '../../../../main/view.ts';
import { appView, loggedIn, serverView } from './views.ts';

const view = (...states: ServerState[]) => appView(states.map((state) => serverView({ id: state, state })));

describe('trayIcon', () => {
  it.each<[TrayIcon, ServerState[]]>([
    ['logged-out', []],
    ['logged-out', ['logged_out']],
    ['logged-in', ['authenticated']],
    ['logged-in', ['not_required']],
    ['logged-in', ['authenticated', 'logged_out']],
    ['busy', ['starting']],
    ['busy', ['authenticated', 'logging_in']],
    ['attention', ['login_required']],
    ['attention', ['error']],
    ['attention', ['failed']],
    ['attention', ['authenticated', 'login_required']],
    ['attention', ['logging_in', 'failed', 'authenticated']],
  ])('is %s for %j', (icon, states) => {
    expect(trayIcon(view(...states))).toBe(icon);
  });

  it('asks for attention where a login does not reach far enough', () => {
    expect(trayIcon(appView([loggedIn({ wantsMoreAccess: true })]))).toBe('attention');
  });

  it('is offline whatever the servers are', () => {
    expect(trayIcon({ ...view('authenticated', 'failed'), online: false })).toBe('offline');
  });
});

describe('trayToolTip', () => {
  it.each<[string, ServerState[]]>([
    ['MCP Auth Proxy: no server yet', []],
    ['MCP Auth Proxy: mcp.craft.do, login needed', ['login_required']],
    ['MCP Auth Proxy: 1 logged in, 1 login needed', ['authenticated', 'login_required']],
  ])('%s', (text, states) => {
    expect(trayToolTip(view(...states))).toBe(text);
  });

  it('counts servers in the same state', () => {
    expect(trayToolTip(view('authenticated', 'authenticated'))).toBe('MCP Auth Proxy: 2 logged in');
  });

  it('says that there is no network', () => {
    expect(trayToolTip({ ...view('authenticated'), online: false })).toBe('MCP Auth Proxy: offline');
  });
});
