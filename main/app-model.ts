import { EventEmitter } from 'node:events';
import type { LogLevel } from '../app/log.ts';
import { VERSION } from '../app/version.ts';
import type { AppSettings, AppView, Notice, ServerView, UpdatesView } from './view.ts';

/** Where the parts of the view come from. Each says by its event when it has something new. */
export interface ModelSources {
  readonly settings: {
    readonly settings: AppSettings;
    readonly notices: readonly Notice[];
    dismiss(id: string): void;
  } & Changing;
  readonly servers: { readonly views: readonly ServerView[] } & Changing;
  readonly logins: { underWay(serverId: string): boolean } & Changing;
  readonly connectivity: { readonly online: boolean } & Changing;
  readonly updates: UpdatesView & Changing;
}

interface Changing {
  on(event: 'change', listener: () => void): unknown;
}

/** Everything the tray and the window show, put together. Emits `change` at most once per turn of the event loop. */
export class AppModel extends EventEmitter<{ change: [] }> {
  readonly #sources: ModelSources;
  readonly #fixedLogLevel: LogLevel | undefined;
  readonly #notices = new Map<string, Notice>();
  #startAtLogin: boolean | undefined;
  #changing = false;

  /** @param fixedLogLevel the environment's, which is in force whatever the settings say */
  constructor(sources: ModelSources, fixedLogLevel?: LogLevel) {
    super();
    this.#sources = sources;
    this.#fixedLogLevel = fixedLogLevel;
    for (const source of Object.values(sources) as Changing[]) source.on('change', () => this.#changed());
  }

  get view(): AppView {
    const { settings, servers, connectivity, updates } = this.#sources;
    const fixed = this.#fixedLogLevel;
    return {
      version: VERSION,
      servers: servers.views.map((server) => this.#withLogin(server)),
      settings: { ...settings.settings, ...(fixed && { logLevel: fixed }) },
      logLevelFixed: fixed !== undefined,
      startAtLogin: this.#startAtLogin,
      updates: { canLook: updates.canLook, available: updates.available },
      online: connectivity.online,
      notices: [...settings.notices, ...this.#notices.values()],
    };
  }

  setStartAtLogin(on: boolean | undefined): void {
    this.#startAtLogin = on;
    this.#changed();
  }

  /** Says something until the person dismisses it or it is said differently under the same id. */
  notify(notice: Notice): void {
    this.#notices.set(notice.id, notice);
    this.#changed();
  }

  /** What was said under this id is no longer so. */
  retract(noticeId: string): void {
    if (this.#notices.delete(noticeId)) this.#changed();
  }

  dismiss(noticeId: string): void {
    if (this.#notices.delete(noticeId)) this.#changed();
    else this.#sources.settings.dismiss(noticeId);
  }

  /** A login that is still being prepared, or has its window open, is one under way for the person. */
  #withLogin(server: ServerView): ServerView {
    const preparing = this.#sources.logins.underWay(server.id) && server.state !== 'authenticated';
    return preparing ? { ...server, state: 'logging_in' } : server;
  }

  #changed(): void {
    if (this.#changing) return;
    this.#changing = true;
    queueMicrotask(() => {
      this.#changing = false;
      this.emit('change');
    });
  }
}
