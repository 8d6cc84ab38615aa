import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { autostartEntry, loginItem } from '../../../main/login-item.ts';
import { givenFolder } from '../../support/broker.ts';

function appThat(isPackaged: boolean) {
  let openAtLogin = false;
  return {
    isPackaged,
    name: 'MCP Auth Proxy',
    getLoginItemSettings: () => ({ openAtLogin }) as Electron.LoginItemSettings,
    setLoginItemSettings: (settings: Electron.Settings) => {
      openAtLogin = settings.openAtLogin ?? false;
    },
  };
}

describe('the login item', () => {
  it('is not to be had from source: a bare Electron would be started', () => {
    expect(loginItem(appThat(false), 'darwin')).toBeUndefined();
    expect(loginItem(appThat(false), 'linux')).toBeUndefined();
  });

  it('is the system’s own on macOS, and off until it is asked for', async () => {
    const item = loginItem(appThat(true), 'darwin');
    expect(await item?.isOn()).toBe(false);
    await item?.set(true);
    expect(await item?.isOn()).toBe(true);
    await item?.set(false);
    expect(await item?.isOn()).toBe(false);
  });

  it('is an autostart entry on Linux', async () => {
    const folder = await givenFolder();
    const item = loginItem(appThat(true), 'linux', {
      XDG_CONFIG_HOME: folder,
      APPIMAGE: '/opt/mcp.AppImage',
    });
    expect(await item?.isOn()).toBe(false);
    await item?.set(true);
    expect(await item?.isOn()).toBe(true);
    const entry = await readFile(path.join(folder, 'autostart/mcp-auth-proxy.desktop'), 'utf8');
    expect(entry).toContain(
      '[Desktop Entry]\nType=Application\nName=MCP Auth Proxy\nExec="/opt/mcp.AppImage"\n',
    );
    await item?.set(false);
    expect(await item?.isOn()).toBe(false);
    await item?.set(false);
  });

  it('is off when the person hid the entry with their desktop’s own tool', async () => {
    const folder = await givenFolder();
    const item = autostartEntry({ name: 'A', executable: '/a', env: { XDG_CONFIG_HOME: folder } });
    await item.set(true);
    const file = path.join(folder, 'autostart/mcp-auth-proxy.desktop');
    await writeFile(file, `${await readFile(file, 'utf8')}Hidden=true\n`);
    expect(await item.isOn()).toBe(false);
  });

  it('quotes an awkward path as the Desktop Entry Specification wants it', async () => {
    const folder = await givenFolder();
    const executable = '/opt/my "apps"/100% $HOME/`x`/mcp\\proxy';
    await autostartEntry({ name: 'A', executable, env: { XDG_CONFIG_HOME: folder } }).set(true);
    const entry = await readFile(path.join(folder, 'autostart/mcp-auth-proxy.desktop'), 'utf8');
    expect(entry).toContain('Exec="/opt/my \\\\"apps\\\\"/100%% \\\\$HOME/\\\\`x\\\\`/mcp\\\\\\\\proxy"\n');
  });
});
