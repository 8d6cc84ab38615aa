import type { TrayActions } from '../actions.ts';
import type { McpClientId } from '../clients.ts';
import type { LoginWay } from '../view.ts';

/** What a menu item does, as plain data: a menu can be compared, printed and tested. */
export type TrayAction =
  | { readonly kind: 'log-in'; readonly serverId: string; readonly way: LoginWay }
  | { readonly kind: 'log-out'; readonly serverId: string }
  | { readonly kind: 'copy-mcp-url'; readonly serverId: string }
  | { readonly kind: 'copy-for-client'; readonly serverId: string; readonly client: McpClientId }
  | { readonly kind: 'open-window' }
  | { readonly kind: 'open-log' }
  | { readonly kind: 'start-at-login'; readonly on: boolean }
  | { readonly kind: 'open-new-version' }
  | { readonly kind: 'about' }
  | { readonly kind: 'quit' };

/** Does what a menu item says. */
export function perform(action: TrayAction, actions: TrayActions): void {
  switch (action.kind) {
    case 'log-in':
      actions.logIn(action.serverId, action.way);
      break;
    case 'log-out':
      actions.logOut(action.serverId);
      break;
    case 'copy-mcp-url':
      actions.copyMcpUrl(action.serverId);
      break;
    case 'copy-for-client':
      actions.copyForClient(action.serverId, action.client);
      break;
    case 'open-window':
      actions.openWindow();
      break;
    case 'open-log':
      actions.openLog();
      break;
    case 'start-at-login':
      actions.setStartAtLogin(action.on);
      break;
    case 'open-new-version':
      actions.openNewVersion();
      break;
    case 'about':
      actions.showAbout();
      break;
    case 'quit':
      actions.quit();
      break;
  }
}
