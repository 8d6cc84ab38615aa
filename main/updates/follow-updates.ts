import type { Logger } from '../../app/log.ts';
import { VERSION } from '../../app/version.ts';
import type { AppModel } from '../app-model.ts';
import type { Updates } from './updates.ts';

interface FollowUpdatesParts {
  readonly updates: Updates;
  readonly settings: { on(event: 'change', listener: () => void): unknown };
  readonly connectivity: { on(event: 'change', listener: (online: boolean) => void): unknown };
  readonly model: Pick<AppModel, 'notify' | 'retract'>;
  readonly openExternal: (url: URL) => Promise<void>;
  readonly openWindow: () => void;
  readonly log: Logger;
}

const NOTICE = 'new-version';
const PAGE_NOTICE = 'new-version-page';

/**
 * Says once that there is a new version, and looks for one when the network is back or the person has changed a setting.
 * @returns what opens the page of the new version; it says by itself when that does not work
 */
export function followUpdates(parts: FollowUpdatesParts): { openPage(): Promise<void> } {
  const { updates, settings, connectivity, model, openExternal, openWindow, log } = parts;
  let told: string | undefined;

  function tell(): void {
    const { available } = updates;
    // Who has dismissed it has heard of this one.
    if (available === told) return;
    told = available;
    if (available === undefined) model.retract(NOTICE);
    else {
      const message = `Version ${available} is available.`;
      model.notify({ id: NOTICE, message, cure: `You have version ${VERSION}.`, opens: 'new-version' });
    }
  }

  updates.on('change', tell);
  settings.on('change', () => {
    tell();
    void updates.check();
  });
  connectivity.on('change', (online) => {
    if (online) void updates.check();
  });

  return {
    async openPage() {
      const { page } = updates;
      if (page === undefined) return;
      try {
        await openExternal(page);
        model.retract(PAGE_NOTICE);
      } catch (error) {
        log.warn('The page of the new version could not be opened', { reason: (error as Error).message });
        const message = 'The page of the new version could not be opened.';
        model.notify({ id: PAGE_NOTICE, message, cure: `Open ${page.href} in your browser.` });
        openWindow();
      }
    },
  };
}
