import type { Notification } from 'electron';
import { shownName } from './tray/status.ts';
import type { ServerView } from './view.ts';

/** A notification on the screen. Whoever wants its clicks keeps it: one that nobody holds tells of none. */
export interface ShownNotification {
  close(): void;
}

/** Shows a notification. Never throws; where there is no place for notifications, nothing is shown. */
export type ShowNotification = (notification: {
  readonly title: string;
  readonly body: string;
  readonly onClick?: () => void;
}) => ShownNotification;

/** A call that needs a login is told of again when nobody has answered for so long, in milliseconds. */
const REMINDER_MS = 10 * 60 * 1_000;

type NamedServer = Pick<ServerView, 'id' | 'name'>;

/**
 * Says that a login is needed, and that one is done; nothing else is worth an interruption. There is at most one
 * notification per server at a time, and calls that go on failing raise no further ones.
 */
export class LoginNotifications {
  readonly #show: ShowNotification;
  readonly #logIn: (serverId: string) => void;
  readonly #now: () => number;
  /** The last notification of each server; `asked` is when it asked for a login, and until that was answered. */
  readonly #last = new Map<string, { readonly shown: ShownNotification; readonly asked?: number }>();

  /**
   * @param logIn begins the login of a server whose notification was clicked
   * @param now a clock that nobody sets, in milliseconds
   */
  constructor(
    show: ShowNotification,
    logIn: (serverId: string) => void,
    now: () => number = () => performance.now(),
  ) {
    this.#show = show;
    this.#logIn = logIn;
    this.#now = now;
  }

  /** To be called for every call that needs a login; says so once, and not while a login is under way. */
  loginNeeded(server: Pick<ServerView, 'id' | 'name' | 'state' | 'wantsMoreAccess'>): void {
    if (server.state === 'logging_in') return;
    const now = this.#now();
    const asked = this.#last.get(server.id)?.asked;
    if (asked !== undefined && now - asked < REMINDER_MS) return;
    this.#replace(server.id, {
      asked: now,
      shown: this.#show({
        ...(server.wantsMoreAccess
          ? {
              title: `More access needed: ${shownName(server)}`,
              body: 'An MCP client needs more access than you have granted. Click here to log in again.',
            }
          : {
              title: `Log in to ${shownName(server)}`,
              body: 'An MCP client needs it. Click here to log in.',
            }),
        onClick: () => this.#logIn(server.id),
      }),
    });
  }

  /** To be called when a person has logged in. */
  loggedIn(server: NamedServer): void {
    this.#replace(server.id, {
      shown: this.#show({
        title: `Logged in to ${shownName(server)}`,
        body: 'MCP clients can use it now.',
      }),
    });
  }

  /** Takes back what is shown of servers that have gone. */
  keepOnly(serverIds: ReadonlySet<string>): void {
    for (const id of this.#last.keys()) if (!serverIds.has(id)) this.forget(id);
  }

  /** Takes back what is shown of a server. */
  forget(serverId: string): void {
    this.#last.get(serverId)?.shown.close();
    this.#last.delete(serverId);
  }

  #replace(serverId: string, next: { shown: ShownNotification; asked?: number }): void {
    this.forget(serverId);
    this.#last.set(serverId, next);
  }
}

/** Shows notifications by Electron's class, which is handed in, so that this file can be read without Electron. */
export function electronNotifications(Class: typeof Notification): ShowNotification {
  return ({ title, body, onClick }) => {
    if (!Class.isSupported()) return { close() {} };
    const notification = new Class({ title, body });
    if (onClick) notification.on('click', onClick);
    notification.show();
    return { close: () => notification.close() };
  };
}
