import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Message, Variant } from '@jellybrick/dbus-next';
import * as v from 'valibot';
import { observeChanges } from './changes.ts';
import { connectToSessionBus } from './session-bus.ts';

/** One item of a tray menu, as a desktop shows it. */
export interface TrayEntry {
  /** The number by which the application knows it, in the menu it is in now. */
  readonly id: number;
  /** Empty for a separator. */
  readonly label: string;
  readonly type: 'item' | 'checkbox' | 'separator';
  readonly enabled: boolean;
  readonly checked: boolean;
  readonly submenu: readonly TrayEntry[];
}

/** The icon: GNOME and its like are given a file, the others the pixels in one or more sizes. */
export type TrayPicture = { readonly png: Buffer } | { readonly pixmaps: readonly Pixmap[] };

/** An icon in one size; `argb` has four bytes for each of its pixels. */
export interface Pixmap {
  readonly width: number;
  readonly height: number;
  readonly argb: Buffer;
}

/** The part of a desktop that holds the tray. All calls wait until an application has put its icon there. */
export interface TrayHost {
  /** The menu as it is now. */
  menu(): Promise<readonly TrayEntry[]>;
  /** The first menu from now on that is as wanted. */
  waitForMenu(wanted: (menu: readonly TrayEntry[]) => boolean): Promise<readonly TrayEntry[]>;
  toolTip(): Promise<string>;
  waitForToolTip(wanted: (text: string) => boolean): Promise<string>;
  icon(): Promise<TrayPicture>;
  waitForIcon(wanted: (icon: TrayPicture) => boolean): Promise<TrayPicture>;
  /**
   * Clicks an item as a person does.
   * @param labels of the item and, before it, of the submenus that lead to it
   * @throws when there is no such item or it is disabled
   */
  click(...labels: readonly string[]): Promise<void>;
  /** Clicks the icon itself. */
  activate(): Promise<void>;
  /** Resolves when no application has its icon in the tray. */
  waitUntilEmpty(): Promise<void>;
  stop(): void;
}

/** An icon in the tray: whose it is, and where on its connection. */
interface Item {
  readonly destination: string;
  readonly path: string;
}

const WATCHER = 'org.kde.StatusNotifierWatcher';
const ITEM = 'org.kde.StatusNotifierItem';
const MENU = 'com.canonical.dbusmenu';
const BUS = 'org.freedesktop.DBus';
const ALL_LEVELS = -1;

const Properties = v.record(v.string(), v.instance(Variant));
const Layout = v.tuple([v.number(), Properties, v.array(v.instance(Variant))]);
const ToolTip = v.tuple([v.string(), v.unknown(), v.string(), v.string()]);
const Pixmaps = v.array(v.tuple([v.number(), v.number(), v.instance(Buffer)]));
const IconFile = v.object({ IconName: v.pipe(v.string(), v.minLength(1)), IconThemePath: v.string() });

/**
 * Plays the tray of a Linux desktop: owns the name by which applications find it, reads their menus and clicks in
 * them. It holds the icon of one application at a time, the last that came.
 * @param busAddress the session bus of the application; without it the one of this process's environment
 * @see https://www.freedesktop.org/wiki/Specifications/StatusNotifierItem/
 */
export async function startTrayHost(busAddress?: string): Promise<TrayHost> {
  const bus = await connectToSessionBus(busAddress);
  const changes = observeChanges();
  let item: Item | undefined;

  function register({ sender, body }: Message): void {
    const [service] = body;
    // Applications name either their object or, by an older custom, only their connection.
    const path = typeof service === 'string' && service.startsWith('/') ? service : '/StatusNotifierItem';
    item = { destination: sender, path };
    changes.announce();
  }

  bus.serve({
    path: '/StatusNotifierWatcher',
    interface: WATCHER,
    methods: {
      RegisterStatusNotifierItem(call) {
        register(call);
        return [''];
      },
      RegisterStatusNotifierHost: () => [''],
    },
    properties: () => ({
      IsStatusNotifierHostRegistered: new Variant('b', true),
      ProtocolVersion: new Variant('i', 0),
      RegisteredStatusNotifierItems: new Variant('as', item ? [item.destination + item.path] : []),
    }),
  });
  await bus.listen({ interface: ITEM }, changes.announce);
  await bus.listen({ interface: MENU }, changes.announce);
  await bus.listen({ interface: BUS, path: '/org/freedesktop/DBus' }, ({ member, body }) => {
    const [name, , owner] = body;
    if (member !== 'NameOwnerChanged' || name !== item?.destination || owner !== '') return;
    item = undefined;
    changes.announce();
  });
  await bus.own(WATCHER);

  const present = () =>
    changes.until(
      'the tray icon',
      () => item,
      (held) => held !== undefined,
    );

  async function properties(): Promise<Readonly<Record<string, unknown>>> {
    const getAll = { interface: 'org.freedesktop.DBus.Properties', member: 'GetAll' };
    const [all] = await bus.call(await present(), getAll, 's', ITEM);
    return Object.fromEntries(
      Object.entries(v.parse(Properties, all)).map(([name, { value }]) => [name, value]),
    );
  }

  async function menuObject(): Promise<Item> {
    return { ...(await present()), path: v.parse(v.string(), (await properties()).Menu) };
  }

  async function menu(): Promise<readonly TrayEntry[]> {
    const getLayout = { interface: MENU, member: 'GetLayout' };
    const [, root] = await bus.call(await menuObject(), getLayout, 'iias', 0, ALL_LEVELS, []);
    return entryOf(root).submenu;
  }

  async function toolTip(): Promise<string> {
    const [, , title, text] = v.parse(ToolTip, (await properties()).ToolTip);
    return text === '' ? title : text;
  }

  async function picture(): Promise<TrayPicture | undefined> {
    const all = await properties();
    if (v.is(IconFile, all)) return pictureFile(join(all.IconThemePath, `${all.IconName}.png`));
    if (!v.is(Pixmaps, all.IconPixmap) || all.IconPixmap.length === 0) return undefined;
    return { pixmaps: all.IconPixmap.map(([width, height, argb]) => ({ width, height, argb })) };
  }

  const waitForIcon: TrayHost['waitForIcon'] = (wanted) =>
    changes.until(
      'the tray icon',
      picture,
      (shown): shown is TrayPicture => shown !== undefined && wanted(shown),
    );

  async function click(...labels: readonly string[]): Promise<void> {
    const event = { interface: MENU, member: 'Event' };
    for (let attempts = 3; ; attempts--) {
      const { id } = find(await menu(), labels);
      try {
        await bus.call(await menuObject(), event, 'isvu', id, 'clicked', new Variant('i', 0), 0);
        return;
      } catch (error) {
        // A menu that was put up in between has other numbers for the same items.
        if (attempts === 1) throw error;
      }
    }
  }

  return {
    menu,
    waitForMenu: (wanted) => changes.until('the tray menu', menu, wanted),
    toolTip,
    waitForToolTip: (wanted) => changes.until('the tray tool tip', toolTip, wanted),
    icon: () => waitForIcon(() => true),
    waitForIcon,
    click,
    async activate() {
      await bus.call(await present(), { interface: ITEM, member: 'Activate' }, 'ii', 0, 0);
    },
    async waitUntilEmpty() {
      await changes.until(
        'the tray',
        () => item,
        (held) => held === undefined,
      );
    },
    stop: () => bus.close(),
  };
}

/** `undefined` when the application is about to name another file. */
async function pictureFile(path: string): Promise<TrayPicture | undefined> {
  const png = await readFile(path).catch(() => undefined);
  return png && { png };
}

/** Finds an item that a person could click. */
function find(menu: readonly TrayEntry[], labels: readonly string[]): TrayEntry {
  let level = menu;
  let found: TrayEntry | undefined;
  for (const label of labels) {
    found = level.find((entry) => entry.label === label);
    if (found === undefined) {
      const there = level.map((entry) => entry.label).join(' | ');
      throw new Error(`the tray menu has no item "${labels.join(' > ')}"; it has: ${there}`);
    }
    if (!found.enabled) throw new Error(`the tray menu's item "${label}" is disabled`);
    level = found.submenu;
  }
  if (found === undefined) throw new Error('no label to look for');
  return found;
}

function entryOf(layout: unknown): TrayEntry {
  const [id, properties, children] = v.parse(Layout, layout);
  const property = (name: string) => properties[name]?.value;
  const label = property('label');
  return {
    id,
    label: typeof label === 'string' ? withoutMnemonic(label) : '',
    type: typeOf(property('type'), property('toggle-type')),
    enabled: property('enabled') !== false,
    checked: property('toggle-state') === 1,
    submenu: children
      .map(({ value }) => value)
      .filter(isVisible)
      .map(entryOf),
  };
}

function isVisible(layout: unknown): boolean {
  const [, properties] = v.parse(Layout, layout);
  return properties.visible?.value !== false;
}

function typeOf(type: unknown, toggle: unknown): TrayEntry['type'] {
  if (type === 'separator') return 'separator';
  return toggle === 'checkmark' ? 'checkbox' : 'item';
}

/** `_` marks the mnemonic after it, two stand for one. */
function withoutMnemonic(label: string): string {
  return label.replace(/_(.?)/gu, '$1');
}
