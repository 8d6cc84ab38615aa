import type { WebContents } from 'electron';
import type { NotificationChannel, Notifications, Page } from './contract.ts';

/** What is needed of Electron's contents to know them again and to talk to them. */
export type PageContents = Pick<WebContents, 'id' | 'isDestroyed' | 'send'> & {
  once(event: 'destroyed', listener: () => void): unknown;
};

/** Channels of the notifications that a page listens to. */
export type ChannelTo<P extends Page> = {
  [C in NotificationChannel]: Notifications[C]['page'] extends P ? C : never;
}[NotificationChannel];

/** The contents that this app made for its own pages, as long as they live. */
export class Pages {
  readonly #entries = new Map<number, { readonly page: Page; readonly contents: PageContents }>();

  /** Call it before the contents load their page. */
  add(page: Page, contents: PageContents): void {
    const { id } = contents;
    this.#entries.set(id, { page, contents });
    contents.once('destroyed', () => this.#entries.delete(id));
  }

  /** The page for which these contents were made; `undefined` for any contents of others. */
  pageOf(contents: { readonly id: number }): Page | undefined {
    return this.#entries.get(contents.id)?.page;
  }

  /** Tells a page, wherever it is open. */
  notify<P extends Page, C extends ChannelTo<P>>(
    page: P,
    channel: C,
    message: Notifications[C]['message'],
  ): void {
    for (const entry of this.#entries.values())
      if (entry.page === page && !entry.contents.isDestroyed()) entry.contents.send(channel, message);
  }

  /** Tells one of several contents of the same page, such as the bar of one login. Others are told nothing. */
  tell<P extends Page, C extends ChannelTo<P>>(
    page: P,
    contents: PageContents,
    channel: C,
    message: Notifications[C]['message'],
  ): void {
    if (this.pageOf(contents) === page && !contents.isDestroyed()) contents.send(channel, message);
  }
}
