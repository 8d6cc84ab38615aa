import path from 'node:path';
import {
  app,
  BrowserWindow,
  clipboard,
  ipcMain,
  Menu,
  Notification,
  net,
  powerMonitor,
  safeStorage,
  session,
  shell as system,
} from 'electron';
import { Broker } from '../app/broker.ts';
import { inspectUpstream } from '../app/inspect.ts';
import { LOG_LEVELS } from '../app/log.ts';
import type { Settings } from '../app/settings.ts';
import { SecretStoreError } from '../app/store/secret-store.ts';
import { REPOSITORY, VERSION } from '../app/version.ts';
import type { AppFolder } from './app-folder.ts';
import type { AppLog } from './app-log.ts';
import { AppModel } from './app-model.ts';
import type { McpClientId } from './clients.ts';
import { Commands } from './commands.ts';
import { createHandlers } from './ipc/handlers.ts';
import { Pages } from './ipc/pages.ts';
import { handleAll } from './ipc/registrar.ts';
import { followLogins } from './login/follow-logins.ts';
import { Logins } from './login/logins.ts';
import { openExternal } from './login/open-external.ts';
import { createLoginPopups } from './login/popup.ts';
import { forgetProvider } from './login/provider-session.ts';
import { loginItem } from './login-item.ts';
import { watchNetworkChanges } from './network/changes.ts';
import { Connectivity } from './network/connectivity.ts';
import { createSystemNetwork } from './network/system-network.ts';
import { electronNotifications, LoginNotifications } from './notifications.ts';
import { watchPower } from './power.ts';
import { deleteEncryptionKey } from './reset/encryption-key.ts';
import { eraseFolder } from './reset/erase.ts';
import { keepLeftovers, takeLeftovers } from './reset/leftovers.ts';
import { reset } from './reset/reset.ts';
import { createAppStore } from './secrets/app-store.ts';
import { createSafeStorageCipher } from './secrets/safe-storage-cipher.ts';
import { secretsOf } from './servers/configuration.ts';
import { Servers } from './servers/servers.ts';
import { openSettingsFile } from './settings/settings-file.ts';
import { watchSettings } from './settings/watch-settings.ts';
import { createTray } from './tray/tray.ts';
import { followUpdates } from './updates/follow-updates.ts';
import { latestRelease } from './updates/release-feed.ts';
import { gitHubRepository } from './updates/repository.ts';
import { Updates } from './updates/updates.ts';
import { showAbout } from './windows/about.ts';
import { applicationMenu } from './windows/menu.ts';
import { PAGE_PARTITION } from './windows/page-window.ts';
import { servePages } from './windows/protocol.ts';
import { createStatusWindow } from './windows/status-window.ts';

/** Beside the bundled main process. */
const DIST = path.dirname(import.meta.dirname);

/** The running app. */
export interface Shell {
  openWindow(): void;
  /** The app was started again by somebody who wanted to add a server by the environment. */
  refuseServer(): void;
  /** Ends all servers and keeps their logins. */
  close(): Promise<void>;
  /** Ends all servers, and takes back everything that this app has done on this computer. */
  reset(): Promise<void>;
}

export interface ShellOptions {
  readonly folder: AppFolder;
  readonly log: AppLog;
  readonly env: NodeJS.ProcessEnv;
  /** The person wants everything to be reset, and has been asked whether they really do. */
  readonly onReset: () => void;
}

/** Puts the app together and starts it: the tray first, then the servers, side by side. Call it when Electron is ready. */
export async function startShell({ folder, log, env, onReset }: ShellOptions): Promise<Shell> {
  const { logger } = log;
  const preload = path.join(DIST, 'main', 'preload.cjs');
  const cipher = createSafeStorageCipher({ safeStorage, appName: app.name });
  const network = createSystemNetwork(session.defaultSession);
  const connectivity = new Connectivity(net);
  const settings = await openSettingsFile(folder.settingsFile, { cipher, log: logger });
  const servers = new Servers({
    createBroker: (checked) =>
      new Broker({
        settings: checked,
        log: logger,
        network,
        store: () =>
          createAppStore({
            settings: checked,
            cipher,
            appName: app.name,
            onCorrupt: ({ message }) => sayCorrupt(checked, message),
          }),
      }),
    log: logger,
  });
  const pages = new Pages();
  // macOS takes the icon from the app.
  const icon = process.platform === 'darwin' ? {} : { icon: path.join(DIST, 'icons', 'app-256.png') };
  const statusWindow = createStatusWindow({ pages, preload, ...icon, log: logger });
  const popups = createLoginPopups({ pages, preload, ...icon, log: logger });
  const logins = new Logins({
    find: (id) => {
      const broker = servers.brokerOf(id);
      return broker && { name: nameOf(id), broker };
    },
    openPopup: popups.open,
    openExternal: (url) => openExternal(system, url),
    log: logger,
  });
  const updates = new Updates({
    repository: gitHubRepository(REPOSITORY),
    version: VERSION,
    file: folder.lookFile,
    look: (repository, last) => latestRelease(repository, { ...last, network }),
    wanted: () => settings.settings.lookForNewVersions,
    online: () => connectivity.online,
    log: logger,
  });
  const model = new AppModel(
    { settings, servers, logins, connectivity, updates },
    LOG_LEVELS.find((level) => level === env.LOG_LEVEL),
  );
  const commands = new Commands({
    settings,
    servers,
    logins,
    model,
    env,
    stateDir: folder.root,
    copy: (text) => clipboard.writeText(text),
    openWindow,
    forgetProvider,
  });
  const item = loginItem(app);
  const newVersion = followUpdates({
    updates,
    settings,
    connectivity,
    model,
    openExternal: (url) => openExternal(system, url),
    openWindow,
    log: logger,
  });

  const actions = {
    logIn: (id: string, way: 'popup' | 'browser') => commands.logIn(id, way),
    logOut: (id: string) => void commands.logOutOrSay(id),
    copyMcpUrl: (id: string) => commands.copyMcpUrl(id),
    copyForClient: (id: string, client: McpClientId) => void commands.copyForClient(id, client),
    openWindow,
    openLog: () => void openLog(),
    setStartAtLogin: (on: boolean) => void setStartAtLogin(on),
    openNewVersion: () => void newVersion.openPage(),
    showAbout: () => showAbout(icon.icon),
    quit: () => app.quit(),
  };

  function nameOf(id: string): string {
    return servers.views.find((server) => server.id === id)?.name ?? '';
  }

  function openWindow(): void {
    statusWindow.open();
    connectivity.check();
    void settings.reread();
  }

  async function openLog(): Promise<void> {
    const fault = await system.openPath(log.file);
    if (fault === '') return;
    logger.warn('The log could not be opened', { fault });
    statusWindow.open('log');
  }

  async function setStartAtLogin(on: boolean): Promise<void> {
    try {
      await item?.set(on);
      model.retract('start-at-login');
    } catch (error) {
      logger.warn('Start at login could not be changed', { reason: (error as Error).message });
      const message = 'Start at login could not be changed.';
      model.notify({ id: 'start-at-login', message, cure: 'Change it in the settings of the system.' });
    }
    model.setStartAtLogin(await item?.isOn());
  }

  /** The person has to log in again, and should know why. */
  function sayCorrupt({ upstreamMcpUrl, profile }: Settings, message: string): void {
    const isMeant = (id: string) => {
      const running = servers.brokerOf(id)?.settings;
      return running?.upstreamMcpUrl === upstreamMcpUrl && running.profile === profile;
    };
    const server = servers.views.find(({ id }) => isMeant(id));
    if (server)
      model.notify({ id: `login ${server.id}`, message: `${server.name}: ${message}`, cure: undefined });
  }

  async function saySecretsAreLost(): Promise<void> {
    try {
      await cipher.encrypt('');
      model.retract('cipher');
    } catch (error) {
      // What the system never had a place for, the servers say themselves.
      if (cipher.weakness !== undefined || !(error instanceof SecretStoreError)) return;
      model.notify({ id: 'cipher', message: 'Logins cannot be kept now.', cure: error.message });
    }
  }

  Menu.setApplicationMenu(Menu.buildFromTemplate(applicationMenu(app.name, actions)));
  servePages(session.fromPartition(PAGE_PARTITION), path.join(DIST, 'renderer'));
  const handlers = createHandlers({
    commands,
    model,
    servers,
    log,
    popups,
    inspect: (url) => inspectUpstream(url, { network }),
    openLog: actions.openLog,
    setStartAtLogin,
    openNewVersion: newVersion.openPage,
    reset: onReset,
  });
  handleAll(ipcMain, handlers, { pages, log: logger });

  const notifications = new LoginNotifications(electronNotifications(Notification), (id) =>
    commands.logIn(id, 'preferred'),
  );
  followLogins({ servers, logins, settings, model, notifications, openWindow });

  // Who comes back to the window may have edited the settings file. A prompt of the system takes the focus and gives it
  // back: what it was about must not be tried again by that.
  app.on('browser-window-focus', () => {
    connectivity.check();
    void settings.reread({ again: false });
  });

  const tray = createTray({ view: model.view, actions, iconFolder: path.join(DIST, 'icons') });
  const show = () => {
    const { view } = model;
    tray.update(view);
    pages.notify('status', 'app:changed', view);
  };
  model.on('change', show);
  servers.on('call', (call) => {
    pages.notify('status', 'calls:new', call);
    // One that went through shows that the network is back.
    if (!connectivity.online) connectivity.check();
  });
  log.on('line', (line) => pages.notify('status', 'log:new', line));

  function applySettings(): void {
    log.hide(secretsOf(commands.configurations));
    log.setLevel(model.view.settings.logLevel);
    void commands.apply();
  }
  settings.on('change', applySettings);
  applySettings();
  function wake(): void {
    connectivity.check();
    void settings.reread();
    if (process.platform !== 'darwin') void saySecretsAreLost();
    // Timers stand still while the machine sleeps.
    tray.update(model.view);
    void updates.check();
    for (const { id } of servers.views) void servers.brokerOf(id)?.wake();
  }
  // On macOS the first use of the key may put a prompt on the screen: there it waits for something to encrypt.
  if (process.platform !== 'darwin') void saySecretsAreLost();
  connectivity.check();
  // A broker that cannot reach anything is a reason to ask whether there is a network at all.
  servers.on('change', () => connectivity.check());
  const stopWatchingPower = watchPower(powerMonitor, wake);
  const stopWatchingNetwork = await watchNetworkChanges(wake);
  const stopWatchingSettings = watchSettings(
    folder.settingsFile,
    () => void settings.reread({ again: false }),
  );
  model.setStartAtLogin(await item?.isOn());
  void updates.start();

  const leftovers = await takeLeftovers(folder.leftoversFile);
  if (leftovers.length > 0) {
    const message = 'MCP Auth Proxy was reset, but not everything could be undone.';
    model.notify({ id: 'leftovers', message, cure: leftovers.join(' ') });
  }
  if (commands.configurations.length === 0 || leftovers.length > 0) openWindow();

  async function stop(): Promise<void> {
    stopWatchingPower();
    stopWatchingNetwork();
    stopWatchingSettings();
    model.off('change', show);
    logins.close();
    // Not in the middle of the click that may have led here.
    setImmediate(() => tray.destroy());
    await updates.close();
  }

  return {
    openWindow,
    refuseServer() {
      model.notify({
        id: 'second-start',
        message: 'MCP Auth Proxy runs already, so the server of the second start was not added.',
        cure: 'Add it here, or quit MCP Auth Proxy before you start it with UPSTREAM_MCP_URL.',
      });
      openWindow();
    },
    async close() {
      await stop();
      await servers.close();
    },
    async reset() {
      await stop();
      await reset({
        forgetServers: () => servers.forget(),
        stopWriting: async () => {
          for (const window of BrowserWindow.getAllWindows()) window.destroy();
          // A change that was made just now may still be on its way to the disk.
          await settings.reread({ again: false });
          log.end();
        },
        loginItem: item,
        deleteKey: () => deleteEncryptionKey({ appName: app.name }),
        erase: () => eraseFolder(folder),
        keep: (left) => keepLeftovers(folder.leftoversFile, left),
      });
    },
  };
}
