import { join } from 'node:path';
import { Menu, type NativeImage, nativeImage, Tray } from 'electron';
import type { TrayActions } from '../actions.ts';
import type { AppView } from '../view.ts';
import { perform } from './action.ts';
import { type TrayIcon, trayIcon } from './icon.ts';
import type { MenuEntry } from './menu.ts';
import { TrayPresenter } from './presenter.ts';
import { menuTemplate } from './template.ts';

/** By it macOS remembers where the person has put the icon. */
const GUID = '2ceebb97-ef8e-4e9f-a599-063552a6d7d4';
const MACOS = process.platform === 'darwin';

export interface AppTray {
  /** Shows a new state of the app; to be called after the computer was asleep too. */
  update(view: AppView): void;
  destroy(): void;
}

export interface TrayOptions {
  readonly view: AppView;
  readonly actions: TrayActions;
  /** Folder of the icons: `<icon>Template.png` on macOS, `<icon>.png` elsewhere, each with its `@2x`. */
  readonly iconFolder: string;
}

/** Puts the icon and its menu into the menu bar. Keep what is returned: a tray that nobody holds disappears. */
export function createTray({ view, actions, iconFolder }: TrayOptions): AppTray {
  const firstIcon = trayIcon(view);
  const tray = new Tray(imageOf(firstIcon, iconFolder), GUID);
  const presenter = new TrayPresenter(
    {
      setIcon: (icon) => tray.setImage(imageOf(icon, iconFolder)),
      setToolTip: (text) => tray.setToolTip(text),
      setMenu,
    },
    firstIcon,
  );

  function setMenu(entries: readonly MenuEntry[]): void {
    const menu = Menu.buildFromTemplate(menuTemplate(entries, clicked));
    if (MACOS) {
      menu.on('menu-will-show', () => presenter.menuOpened());
      // The click comes after the closing, and is lost if its menu is gone by then.
      menu.on('menu-will-close', () => setImmediate(() => presenter.menuClosed()));
    }
    tray.setContextMenu(menu);
  }

  function clicked({ type, action }: MenuEntry): void {
    if (action) perform(action, actions);
    if (type === 'checkbox') presenter.resetMenu();
  }

  // On macOS a click opens the menu. Desktops that tell clicks apart send the left one here.
  if (MACOS) tray.setIgnoreDoubleClickEvents(true);
  else tray.on('click', () => actions.openWindow());
  presenter.update(view);

  return {
    update: (next) => presenter.update(next),
    destroy() {
      presenter.close();
      tray.destroy();
    },
  };
}

function imageOf(icon: TrayIcon, folder: string): NativeImage {
  return nativeImage.createFromPath(join(folder, MACOS ? `${icon}Template.png` : `${icon}.png`));
}
