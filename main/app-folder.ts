import path from 'node:path';
import { userStateFolder } from '../app/store/open-store.ts';

/** Where everything that the app keeps lies. */
export interface AppFolder {
  readonly root: string;
  readonly settingsFile: string;
  readonly logFile: string;
  /** The last look for a new version. */
  readonly lookFile: string;
  /** What a reset could not undo, until the next start has told it. */
  readonly leftoversFile: string;
  /** What Chromium keeps: its caches and the key of the encrypted secrets' backend. */
  readonly chromium: string;
}

/**
 * The app's own folder: `STATE_DIR`, else the operating system's place for this program. One that is started from its
 * source has a folder of its own, so that it never meets the secrets of an installed one, which it could not decrypt.
 */
export function appFolder(
  env: NodeJS.ProcessEnv,
  { packaged, platform = process.platform }: { packaged: boolean; platform?: NodeJS.Platform },
): AppFolder {
  const own = userStateFolder(platform, env) + (packaged ? '' : '-development');
  const root = env.STATE_DIR?.trim() ? path.resolve(env.STATE_DIR.trim()) : own;
  return {
    root,
    settingsFile: path.join(root, 'settings.json'),
    logFile: path.join(root, 'app.log'),
    lookFile: path.join(root, 'new-version.json'),
    leftoversFile: path.join(root, 'reset.json'),
    chromium: path.join(root, 'chromium'),
  };
}
