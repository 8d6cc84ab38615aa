import { app } from 'electron';
import { HOMEPAGE, VERSION } from '../../app/version.ts';

/**
 * Shows the system's own About panel.
 * @param icon path of an image, for systems that do not take it from the app
 */
export function showAbout(icon?: string): void {
  app.setAboutPanelOptions({
    applicationName: app.name,
    applicationVersion: VERSION,
    // Else macOS shows Electron's version beside ours.
    version: '',
    copyright: 'MIT License',
    ...(HOMEPAGE !== undefined && { website: HOMEPAGE, credits: HOMEPAGE }),
    ...(icon !== undefined && { iconPath: icon }),
  });
  if (process.platform === 'darwin') app.focus({ steal: true });
  app.showAboutPanel();
}
