import type { UpstreamReport } from '../../app/inspect.ts';
import type { LogLevel } from '../../app/log.ts';
import type { ClientSetup, McpClientId } from '../clients.ts';
import type { AppSettings, AppView, CallView, LoginWay } from '../view.ts';

/** What the window knows of a server's settings. A secret is only ever sent towards the main process. */
export interface ServerInput {
  readonly name: string;
  readonly upstreamMcpUrl: string;
  /** As typed; empty: the next free one. */
  readonly port: string;
  readonly scopes: string;
  readonly profile: string;
  readonly clientId: string;
  /** `keep`: what is stored stays; else the new one, empty for none. */
  readonly clientSecret: 'keep' | { readonly value: string };
  readonly authorizationEndpoint: string;
  readonly tokenEndpoint: string;
  readonly issuer: string;
  readonly probePath: string;
}

/** What the form shows when a server is edited; `clientSecretPresent` stands for the secret. */
export type ServerForm = Omit<ServerInput, 'clientSecret'> & { readonly clientSecretPresent: boolean };

/** What became of a form: `faults` by field, `''` for what belongs to none. */
export type Outcome =
  | { readonly ok: true }
  | { readonly ok: false; readonly faults: Readonly<Partial<Record<keyof ServerInput | '', string>>> };

export interface LogLine {
  readonly number: number;
  readonly level: LogLevel;
  readonly text: string;
}

/** What a page may ask of the main process: the page it may come from, the request, the answer. */
export interface Requests {
  'app:view': { page: 'status'; request: undefined; response: AppView };
  'app:change-settings': { page: 'status'; request: Partial<AppSettings>; response: Outcome };
  'app:start-at-login': { page: 'status'; request: boolean; response: undefined };
  'app:dismiss-notice': { page: 'status'; request: { id: string }; response: undefined };
  'app:open-new-version': { page: 'status'; request: undefined; response: undefined };
  /** Begins to reset everything, in the course of which the page ends. */
  'app:reset': { page: 'status'; request: undefined; response: undefined };
  'calls:recent': { page: 'status'; request: undefined; response: readonly CallView[] };
  'log:recent': { page: 'status'; request: undefined; response: readonly LogLine[] };
  'log:open': { page: 'status'; request: undefined; response: undefined };
  'server:check': { page: 'status'; request: { url: string }; response: UpstreamReport };
  'server:form': { page: 'status'; request: { id: string }; response: ServerForm | undefined };
  'server:add': { page: 'status'; request: ServerInput; response: Outcome };
  'server:change': { page: 'status'; request: { id: string; input: ServerInput }; response: Outcome };
  'server:move-port': { page: 'status'; request: { id: string; port: number }; response: Outcome };
  'server:remove': { page: 'status'; request: { id: string }; response: undefined };
  'server:restart': { page: 'status'; request: { id: string }; response: undefined };
  'server:log-in': {
    page: 'status';
    request: { id: string; way: LoginWay | 'preferred' };
    response: undefined;
  };
  'server:cancel-login': { page: 'status'; request: { id: string }; response: undefined };
  'server:log-out': { page: 'status'; request: { id: string }; response: undefined };
  'server:copy-url': { page: 'status'; request: { id: string }; response: undefined };
  'server:copy-for-client': {
    page: 'status';
    request: { id: string; client: McpClientId };
    /** What was copied, and what to do with it. */
    response: Pick<ClientSetup, 'kind' | 'hint'>;
  };
  'login:view': { page: 'login'; request: undefined; response: LoginBarView };
  'login:use-browser': { page: 'login'; request: undefined; response: undefined };
  'login:try-again': { page: 'login'; request: undefined; response: undefined };
}

/** What the bar above a login page shows. */
export interface LoginBarView {
  /** Name of the server one logs in to. */
  readonly server: string;
  /** Origin of the page below, e.g. `https://auth.example.com`; empty while no page is shown there. */
  readonly origin: string;
  readonly secure: boolean;
  readonly loading: boolean;
  /** Said when the page below refuses embedded browsers or cannot be loaded. */
  readonly trouble: string | undefined;
}

/** What the main process tells a page by itself. */
export interface Notifications {
  'app:changed': { page: 'status'; message: AppView };
  'calls:new': { page: 'status'; message: CallView };
  'log:new': { page: 'status'; message: LogLine };
  'login:changed': { page: 'login'; message: LoginBarView };
}

export type Page = 'status' | 'login';
export type RequestChannel = keyof Requests;
export type NotificationChannel = keyof Notifications;

/** What the preload script puts into a page as `window.mcpAuthProxy`. */
export interface Bridge {
  request<C extends RequestChannel>(
    channel: C,
    ...request: Requests[C]['request'] extends undefined ? [] : [Requests[C]['request']]
  ): Promise<Requests[C]['response']>;
  /** @returns a function that ends the subscription */
  subscribe<C extends NotificationChannel>(
    channel: C,
    listener: (message: Notifications[C]['message']) => void,
  ): () => void;
}
