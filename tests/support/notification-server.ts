import { type Message, Variant } from '@jellybrick/dbus-next';
import * as v from 'valibot';
import { observeChanges } from './changes.ts';
import { connectToSessionBus } from './session-bus.ts';

/** A notification that was shown. */
export interface ShownNotification {
  readonly id: number;
  readonly title: string;
  readonly body: string;
  /** Whether it can be clicked. */
  readonly clickable: boolean;
  /** Whether it is on the screen still. */
  readonly open: boolean;
}

/** The part of a desktop that shows notifications. */
export interface NotificationServer {
  /** All that were shown, the oldest first. */
  shown(): readonly ShownNotification[];
  /** The notifications as soon as they are as wanted. */
  waitFor(wanted: (shown: readonly ShownNotification[]) => boolean): Promise<readonly ShownNotification[]>;
  /** Clicks a notification as a person does; it goes away by that. */
  click(id: number): void;
  stop(): void;
}

const NOTIFICATIONS = 'org.freedesktop.Notifications';
const PATH = '/org/freedesktop/Notifications';
const DISMISSED_BY_PERSON = 2;
const CLOSED_BY_CALL = 3;
/** Application, replaced one, icon, title, body, actions (their keys and labels by turns), hints, time to show. */
const Notify = v.tuple([
  v.string(),
  v.number(),
  v.string(),
  v.string(),
  v.string(),
  v.array(v.string()),
  v.record(v.string(), v.instance(Variant)),
  v.number(),
]);

/**
 * Plays the notification server of a Linux desktop.
 * @param busAddress the session bus of the application; without it the one of this process's environment
 * @see https://specifications.freedesktop.org/notification-spec/latest/
 */
export async function startNotificationServer(busAddress?: string): Promise<NotificationServer> {
  const bus = await connectToSessionBus(busAddress);
  const changes = observeChanges();
  const all = new Map<number, ShownNotification>();
  const shown = () => [...all.values()];

  function show({ body }: Message): number {
    const [, replaced, , title, text, actions] = v.parse(Notify, body);
    const id = replaced === 0 ? all.size + 1 : replaced;
    all.set(id, { id, title, body: text, clickable: actions.includes('default'), open: true });
    changes.announce();
    return id;
  }

  function close(id: number, reason: number): void {
    const notification = all.get(id);
    if (!notification?.open) return;
    all.set(id, { ...notification, open: false });
    bus.signal({ path: PATH, interface: NOTIFICATIONS, member: 'NotificationClosed' }, 'uu', id, reason);
    changes.announce();
  }

  bus.serve({
    path: PATH,
    interface: NOTIFICATIONS,
    methods: {
      GetCapabilities: () => ['as', ['body', 'actions']],
      GetServerInformation: () => ['ssss', 'tests', 'MCP Auth Proxy', '1', '1.2'],
      Notify: (call) => ['u', show(call)],
      CloseNotification({ body }) {
        close(v.parse(v.number(), body[0]), CLOSED_BY_CALL);
        return [''];
      },
    },
  });
  await bus.own(NOTIFICATIONS);

  return {
    shown,
    waitFor: (wanted) => changes.until('what is notified', shown, wanted),
    click(id) {
      const notification = all.get(id);
      if (!notification?.open || !notification.clickable)
        throw new Error(`nothing to click as notification ${id}`);
      bus.signal({ path: PATH, interface: NOTIFICATIONS, member: 'ActionInvoked' }, 'us', id, 'default');
      close(id, DISMISSED_BY_PERSON);
    },
    stop: () => bus.close(),
  };
}
