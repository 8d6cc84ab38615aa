import { describe, expect, it } from 'vitest';
import { appFolder } from '../../../main/app-folder.ts';

describe('the folder of the app', () => {
  it('is where STATE_DIR says, with everything in it', () => {
    expect(appFolder({ STATE_DIR: '/elsewhere/state' }, { packaged: true })).toEqual({
      root: '/elsewhere/state',
      settingsFile: '/elsewhere/state/settings.json',
      logFile: '/elsewhere/state/app.log',
      lookFile: '/elsewhere/state/new-version.json',
      leftoversFile: '/elsewhere/state/reset.json',
      chromium: '/elsewhere/state/chromium',
    });
  });

  it.each([
    ['darwin', true, '/Users/ada/Library/Application Support/mcp-auth-proxy'],
    ['darwin', false, '/Users/ada/Library/Application Support/mcp-auth-proxy-development'],
    ['linux', true, '/Users/ada/.local/state/mcp-auth-proxy'],
  ] as const)('is the place of the system on %s (packaged: %s)', (platform, packaged, root) => {
    expect(appFolder({ HOME: '/Users/ada', STATE_DIR: ' ' }, { packaged, platform }).root).toBe(root);
  });
});
