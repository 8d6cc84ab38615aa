import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import type { App } from 'electron';

/** Whether the app starts when the person logs in to this machine. */
export interface LoginItem {
  isOn(): Promise<boolean>;
  set(on: boolean): Promise<void>;
}

type LoginItemApp = Pick<App, 'isPackaged' | 'name' | 'getLoginItemSettings' | 'setLoginItemSettings'>;

/**
 * The login item of this system; opt-in.
 * @returns `undefined` for an app that is started from its source: what would be started is a bare Electron
 */
export function loginItem(
  app: LoginItemApp,
  platform: NodeJS.Platform = process.platform,
  env: NodeJS.ProcessEnv = process.env,
): LoginItem | undefined {
  if (!app.isPackaged) return undefined;
  if (platform === 'linux') {
    // An AppImage is mounted somewhere else each time; the variable names the file itself.
    return autostartEntry({ name: app.name, executable: env.APPIMAGE ?? process.execPath, env });
  }
  return {
    isOn: async () => app.getLoginItemSettings().openAtLogin,
    set: async (on) => app.setLoginItemSettings({ openAtLogin: on }),
  };
}

/**
 * An entry in the desktop's autostart folder.
 * @see https://specifications.freedesktop.org/autostart-spec/latest/
 */
export function autostartEntry(options: {
  name: string;
  executable: string;
  env: NodeJS.ProcessEnv;
}): LoginItem {
  const { name, executable, env } = options;
  const config = env.XDG_CONFIG_HOME || path.join(env.HOME || homedir(), '.config');
  const file = path.join(config, 'autostart', 'mcp-auth-proxy.desktop');
  return {
    isOn: async () => {
      const text = await readFile(file, 'utf8').catch(() => '');
      return text !== '' && !/^Hidden\s*=\s*true\s*$/m.test(text);
    },
    set: async (on) => {
      if (!on) {
        await rm(file, { force: true });
        return;
      }
      await mkdir(path.dirname(file), { recursive: true });
      await writeFile(
        file,
        `[Desktop Entry]\nType=Application\nName=${name}\nExec=${quotedForExec(executable)}\nTerminal=false\n`,
      );
    },
  };
}

/** Desktop Entry Specification, "The Exec key": quoted, with its special characters escaped twice, `%` doubled. */
function quotedForExec(argument: string): string {
  const quoted = `"${argument.replaceAll(/["`$\\]/g, '\\$&')}"`;
  return quoted.replaceAll('\\', '\\\\').replaceAll('%', '%%');
}
