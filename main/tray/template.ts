import type { MenuItemConstructorOptions } from 'electron';
import type { MenuEntry } from './menu.ts';

/**
 * The menu as Electron wants it.
 * @param onClick called with the entry that was clicked
 */
export function menuTemplate(
  menu: readonly MenuEntry[],
  onClick: (entry: MenuEntry) => void,
): MenuItemConstructorOptions[] {
  return menu.map((entry) => {
    const { id, type, enabled = true, checked, submenu } = entry;
    if (type === 'separator') return { id, type };
    // Electron takes `&` for the mark of a mnemonic on every platform, and shows one for two.
    const common = { id, label: entry.label.replaceAll('&', '&&'), enabled };
    if (submenu) return { ...common, submenu: menuTemplate(submenu, onClick) };
    const click = () => onClick(entry);
    return type === 'checkbox' ? { ...common, type, checked: checked === true, click } : { ...common, click };
  });
}
