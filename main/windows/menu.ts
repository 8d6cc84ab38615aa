import type { MenuItemConstructorOptions } from 'electron';

/** What the application menu does beside what the system knows by itself. */
export interface MenuActions {
  showAbout(): void;
  quit(): void;
}

/**
 * Template of the application menu. Without an edit menu Cmd-C and Cmd-V do nothing on macOS, in the login window too.
 * Elsewhere the bar is hidden and the menu is there for its keys.
 * @param appName name in the menu's own items
 */
export function applicationMenu(
  appName: string,
  actions: MenuActions,
  platform: NodeJS.Platform = process.platform,
): MenuItemConstructorOptions[] {
  const about: MenuItemConstructorOptions = {
    id: 'about',
    label: `About ${appName}`,
    click: () => actions.showAbout(),
  };
  const quit: MenuItemConstructorOptions = {
    id: 'quit',
    label: `Quit ${appName}`,
    accelerator: 'CommandOrControl+Q',
    click: () => actions.quit(),
  };
  const separator: MenuItemConstructorOptions = { type: 'separator' };
  const edit: MenuItemConstructorOptions = {
    id: 'edit',
    label: 'Edit',
    submenu: [
      { role: 'undo' },
      { role: 'redo' },
      separator,
      { role: 'cut' },
      { role: 'copy' },
      { role: 'paste' },
      { role: 'selectAll' },
    ],
  };
  const view: MenuItemConstructorOptions = {
    id: 'view',
    label: 'View',
    submenu: [{ role: 'resetZoom' }, { role: 'zoomIn' }, { role: 'zoomOut' }],
  };
  const window: MenuItemConstructorOptions = {
    id: 'window',
    label: 'Window',
    role: 'window',
    submenu: [{ role: 'close' }, { role: 'minimize' }],
  };
  if (platform === 'darwin')
    return [
      {
        id: 'app',
        label: appName,
        submenu: [
          about,
          separator,
          { role: 'hide' },
          { role: 'hideOthers' },
          { role: 'unhide' },
          separator,
          quit,
        ],
      },
      edit,
      view,
      window,
    ];
  return [
    { id: 'file', label: 'File', submenu: [{ role: 'close' }, separator, quit] },
    edit,
    view,
    { id: 'help', label: 'Help', role: 'help', submenu: [about] },
  ];
}
