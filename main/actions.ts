import type { McpClientId } from './clients.ts';
import type { LoginWay } from './view.ts';

/** What a person can do from the tray. Each says by itself what went wrong: in the window, the log or a notification. */
export interface TrayActions {
  logIn(serverId: string, way: LoginWay): void;
  logOut(serverId: string): void;
  copyMcpUrl(serverId: string): void;
  copyForClient(serverId: string, client: McpClientId): void;
  openWindow(): void;
  openLog(): void;
  setStartAtLogin(on: boolean): void;
  openNewVersion(): void;
  showAbout(): void;
  quit(): void;
}
