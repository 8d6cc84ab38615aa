import type { NotificationChannel, Notifications, Page, RequestChannel, Requests } from './contract.ts';

/** Every request channel, with the page that may use it. One that is missing here does not compile. */
export const REQUEST_CHANNELS = {
  'app:view': 'status',
  'app:change-settings': 'status',
  'app:start-at-login': 'status',
  'app:dismiss-notice': 'status',
  'app:open-new-version': 'status',
  'app:reset': 'status',
  'calls:recent': 'status',
  'log:recent': 'status',
  'log:open': 'status',
  'server:check': 'status',
  'server:form': 'status',
  'server:add': 'status',
  'server:change': 'status',
  'server:move-port': 'status',
  'server:remove': 'status',
  'server:restart': 'status',
  'server:log-in': 'status',
  'server:cancel-login': 'status',
  'server:log-out': 'status',
  'server:copy-url': 'status',
  'server:copy-for-client': 'status',
  'login:view': 'login',
  'login:use-browser': 'login',
  'login:try-again': 'login',
} as const satisfies { readonly [C in RequestChannel]: Requests[C]['page'] };

/** Every notification channel, with the page that listens to it. */
export const NOTIFICATION_CHANNELS = {
  'app:changed': 'status',
  'calls:new': 'status',
  'log:new': 'status',
  'login:changed': 'login',
} as const satisfies { readonly [C in NotificationChannel]: Notifications[C]['page'] };

export function isRequestChannel(name: unknown): name is RequestChannel {
  return typeof name === 'string' && Object.hasOwn(REQUEST_CHANNELS, name);
}

export function isNotificationChannel(name: unknown): name is NotificationChannel {
  return typeof name === 'string' && Object.hasOwn(NOTIFICATION_CHANNELS, name);
}

/** Address of a page: the only one from which its channels are answered. */
export function pageUrl(page: Page): string {
  return `app://${page}/index.html`;
}
