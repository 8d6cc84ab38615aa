import type { AppView } from '../view.ts';
import { type TrayIcon, trayIcon, trayToolTip } from './icon.ts';
import { type MenuEntry, trayMenu } from './menu.ts';
import { statusChangesAt } from './status.ts';

/** What a tray can show. */
export interface TraySurface {
  setIcon(icon: TrayIcon): void;
  setToolTip(text: string): void;
  setMenu(menu: readonly MenuEntry[]): void;
}

const DAY_MS = 24 * 60 * 60 * 1_000;

/**
 * Keeps a tray up to date: sets only what differs from what it shows, and looks again by itself at the moment at
 * which a text about time changes. Call {@link TrayPresenter.update} after the computer was asleep: timers stand
 * still while it is.
 */
export class TrayPresenter {
  readonly #surface: TraySurface;
  readonly #now: () => number;
  #view: AppView | undefined;
  #icon: TrayIcon | undefined;
  #toolTip: string | undefined;
  /** The menu that is shown, as text. */
  #menu: string | undefined;
  #menuOpen = false;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param shownIcon the icon that the surface shows already
   * @param now the clock, in milliseconds since the epoch
   */
  constructor(surface: TraySurface, shownIcon?: TrayIcon, now: () => number = Date.now) {
    this.#surface = surface;
    this.#icon = shownIcon;
    this.#now = now;
  }

  /** Shows a new state of the app, or the same one at a later time. */
  update(view: AppView): void {
    this.#view = view;
    this.#show();
  }

  /** While a menu is open it stays as it is: another one in its place would close it under the pointer. */
  menuOpened(): void {
    this.#menuOpen = true;
  }

  menuClosed(): void {
    this.#menuOpen = false;
    this.#show();
  }

  /** Puts the menu up anew even if nothing has changed: a clicked checkbox has ticked itself, whatever came of it. */
  resetMenu(): void {
    this.#menu = undefined;
    this.#show();
  }

  /** Ends all updates. */
  close(): void {
    this.#view = undefined;
    clearTimeout(this.#timer);
  }

  #show(): void {
    const view = this.#view;
    if (view === undefined) return;
    const now = this.#now();
    this.#showIcon(trayIcon(view));
    this.#showToolTip(trayToolTip(view));
    if (!this.#menuOpen) this.#showMenu(trayMenu(view, now));
    this.#showAgainAt(statusChangesAt(view.servers, now), now);
  }

  #showIcon(icon: TrayIcon): void {
    if (icon === this.#icon) return;
    this.#icon = icon;
    this.#surface.setIcon(icon);
  }

  #showToolTip(text: string): void {
    if (text === this.#toolTip) return;
    this.#toolTip = text;
    this.#surface.setToolTip(text);
  }

  #showMenu(menu: readonly MenuEntry[]): void {
    const text = JSON.stringify(menu);
    if (text === this.#menu) return;
    this.#menu = text;
    this.#surface.setMenu(menu);
  }

  #showAgainAt(at: number | undefined, now: number): void {
    clearTimeout(this.#timer);
    if (at === undefined) return;
    // The longest text lasts a day; a clock that is wrong by years must not overflow the timer.
    this.#timer = setTimeout(() => this.#show(), Math.min(at - now, DAY_MS)).unref();
  }
}
