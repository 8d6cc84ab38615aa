import type { BrokerState } from '../app/broker.ts';
import type { LogLevel } from '../app/log.ts';
import type { StoreKind } from '../app/store/secret-store.ts';

/** How a person logs in: in a window of this app, or in the system's browser. */
export type LoginWay = 'popup' | 'browser';

/** A broker's state, and what can be said of a server before there is a broker or when there can be none. */
export type ServerState = BrokerState | 'starting' | 'failed';

/** Why a server has no broker. `freePort` is a port that nothing listens on, to be proposed. */
export type ServerFault =
  | { readonly kind: 'port_taken'; readonly message: string; readonly freePort: number | undefined }
  | { readonly kind: 'settings'; readonly message: string }
  | { readonly kind: 'start'; readonly message: string };

/** Everything a person may see of one server; nothing in it is secret. Times are milliseconds since the epoch. */
export interface ServerView {
  readonly id: string;
  /** What the person calls it; the upstream's host where they did not say. */
  readonly name: string;
  /** The upstream's URL without its query. */
  readonly upstream: string;
  /** The host of the upstream. */
  readonly host: string;
  /** `environment`: there for this run only, and not to be edited. */
  readonly source: 'settings' | 'environment';
  readonly state: ServerState;
  /** One sentence on why it is in this state, where there is something to say. */
  readonly reason: string | undefined;
  readonly port: number;
  readonly mcpUrl: string;
  readonly issuer: string | undefined;
  readonly scopes: readonly string[];
  /** A call was refused for want of access that another login may bring. Only of a server that is logged in. */
  readonly wantsMoreAccess: boolean;
  readonly accessTokenExpiresAt: number | undefined;
  readonly refreshTokenPresent: boolean;
  readonly lastRefresh: { readonly at: number; readonly outcome: 'ok' | 'failed' } | undefined;
  /** Why the last login failed, and what to do. */
  readonly lastError: { readonly message: string; readonly cure: string } | undefined;
  readonly fault: ServerFault | undefined;
  readonly warnings: readonly string[];
  readonly store: { readonly kind: StoreKind; readonly description: string } | undefined;
}

/** What is true of the whole app and can be changed in its window. */
export interface AppSettings {
  readonly loginWay: LoginWay;
  /** How long calls that need a login wait for one, in seconds. */
  readonly loginWaitSeconds: number;
  /** Whether a call that needs a login opens the login by itself; a notification is shown in any case. */
  readonly loginOnDemand: boolean;
  /** Whether the app looks, once a day, for versions after its own. */
  readonly lookForNewVersions: boolean;
  readonly logLevel: LogLevel;
}

/** Something the person should know, until they dismiss it. */
export interface Notice {
  readonly id: string;
  readonly message: string;
  readonly cure: string | undefined;
  /** What a button in it opens. Such a notice is news, and nothing that has to be mended. */
  readonly opens?: 'new-version';
}

/** What is known of versions after this one. */
export interface UpdatesView {
  /** Whether this build knows where new versions are published. */
  readonly canLook: boolean;
  /** The latest version, when it is newer and the person wants to know. */
  readonly available: string | undefined;
}

/** Everything the tray and the window show. Nothing in it is secret. */
export interface AppView {
  readonly version: string;
  readonly servers: readonly ServerView[];
  readonly settings: AppSettings;
  /** Whether the environment says the log level, for this run. */
  readonly logLevelFixed: boolean;
  /** `undefined`: this build cannot start at login. */
  readonly startAtLogin: boolean | undefined;
  readonly updates: UpdatesView;
  /** `false` only when the system says that there is no network at all. */
  readonly online: boolean;
  readonly notices: readonly Notice[];
}

/** One call that went through a broker, without any of its contents. */
export interface CallView {
  /** Counts up over all servers. */
  readonly number: number;
  readonly serverId: string;
  /** When it came, in milliseconds since the epoch. */
  readonly at: number;
  /** HTTP method. */
  readonly method: string;
  /** JSON-RPC method name, where there is one. */
  readonly rpc: string | undefined;
  /** HTTP status; `undefined` when the client went before there was one. */
  readonly status: number | undefined;
  /** Code of the refusal, when the broker answered itself. */
  readonly refusal: string | undefined;
  readonly durationMs: number;
}
