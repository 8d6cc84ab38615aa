import type { AppModel } from '../app-model.ts';
import type { LoginNotifications } from '../notifications.ts';
import type { Servers } from '../servers/servers.ts';
import type { AppSettings } from '../view.ts';
import type { LoginEnd, Logins, LoginTrouble } from './logins.ts';
import { LoginOnDemand } from './on-demand.ts';

interface FollowedParts {
  readonly servers: Pick<Servers, 'views' | 'brokerOf' | 'on'>;
  readonly logins: Pick<Logins, 'start' | 'underWay' | 'refresh' | 'on'>;
  readonly settings: { readonly settings: AppSettings };
  readonly model: Pick<AppModel, 'notify' | 'retract'>;
  readonly notifications: Pick<LoginNotifications, 'loginNeeded' | 'loggedIn' | 'keepOnly'>;
  /** Shows the person what has become of their login. */
  readonly openWindow: () => void;
}

/** Lets a call that needs a login ask for one, and lets the person hear how a login has ended. */
export function followLogins(parts: FollowedParts): void {
  const { servers, logins, settings, model, notifications, openWindow } = parts;
  const viewOf = (id: string) => servers.views.find((server) => server.id === id);
  const onDemand = new LoginOnDemand({
    notify: (id) => {
      const server = viewOf(id);
      if (server) notifications.loginNeeded(server);
    },
    open: (id) => logins.start(id, settings.settings.loginWay, { asked: false }),
    wanted: () => settings.settings.loginOnDemand,
    underWay: (id) => logins.underWay(id) || servers.brokerOf(id)?.state === 'logging_in',
  });

  servers.on('login_needed', (id) => onDemand.needed(id));
  servers.on('logged_in', (id) => {
    onDemand.ended(id, true);
    model.retract(`login ${id}`);
    const server = viewOf(id);
    if (server) notifications.loggedIn(server);
  });
  servers.on('change', () => {
    logins.refresh();
    notifications.keepOnly(new Set(servers.views.map(({ id }) => id)));
  });
  logins.on('ended', (id, end: LoginEnd, { asked }) => {
    switch (end.kind) {
      case 'failed':
        onDemand.ended(id, false);
        if (!end.trouble.isKnown) say(id, end.trouble);
        // Nobody is to be interrupted by what they have not asked for.
        if (asked) openWindow();
        break;
      case 'cancelled':
        onDemand.ended(id, false);
        break;
      // A login that works and could not be stored is told by its server.
      case 'done':
      case 'in-browser':
        break;
    }
  });

  function say(id: string, { message, cure }: LoginTrouble): void {
    const name = viewOf(id)?.name;
    model.notify({ id: `login ${id}`, message: name === undefined ? message : `${name}: ${message}`, cure });
  }
}
