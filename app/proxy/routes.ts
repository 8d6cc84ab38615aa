import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Broker, BrokerState } from '../broker.ts';
import { LoginFailure } from '../oauth/errors.ts';
import type { Revocation } from '../oauth/revocation.ts';
import { confirmLoginPage } from '../pages/confirm-login.ts';
import { landingPage } from '../pages/landing.ts';
import { loggedOutPage } from '../pages/logged-out.ts';
import { loginDonePage } from '../pages/login-done.ts';
import { loginFailedPage } from '../pages/login-failed.ts';
import { notRequiredPage } from '../pages/not-required.ts';
import { PAGE_HEADERS } from '../pages/style.ts';
import { SecretStoreError } from '../store/secret-store.ts';
import { wantsEventStream } from './forward.ts';
import type { Route } from './listener.ts';
import { refuse } from './refusals.ts';
import type { Target } from './target.ts';

/** What the local routes need of a broker. */
export type RoutedBroker = Pick<
  Broker,
  | 'settings'
  | 'state'
  | 'localUrl'
  | 'mcpUrl'
  | 'loginUrl'
  | 'redirectUri'
  | 'upstreamHost'
  | 'upstreamShown'
  | 'login'
  | 'finishLogin'
  | 'logout'
  | 'health'
  | 'readiness'
  | 'status'
>;

/** Paths an OAuth client would look for on a server that is one itself: this one is not. */
const OAUTH_SERVER_PATHS = /^(?:\/mcp)?\/\.well-known(?:\/|$)|^\/(?:register|authorize|token)\/?$/;

/**
 * The routes that are answered here, by path.
 * @returns a function that finds the route of a request, or `undefined` for a call to be proxied
 */
export function localRoutes(broker: RoutedBroker) {
  const routes = new Map<string, Route>([
    ['/health', { rule: 'open', handle: (_request, response) => sendJson(response, 200, broker.health()) }],
    ['/mcp/health', { rule: 'peer', handle: (_request, response) => answerReadiness(broker, response) }],
    ['/', { rule: 'peer', handle: (request, response) => answerRoot(broker, request, response) }],
    ['/oauth/status', { rule: 'peer', handle: (_request, response) => answerStatus(broker, response) }],
    [
      '/oauth/login',
      {
        rule: 'site',
        handle: (request, response) => startLogin(broker, request, response),
        handleCrossSite: (_request, response) => askToLogIn(broker, response),
      },
    ],
    [
      broker.settings.redirectPath,
      { rule: 'open', handle: (_request, response, target) => finishLogin(broker, response, target) },
    ],
  ]);
  const logout: Route = { rule: 'site', handle: (request, response) => endLogin(broker, request, response) };
  const noOauthServer: Route = {
    rule: 'peer',
    handle: (_request, response) => denyOauthServer(broker, response),
  };
  const wrongMethod = (rule: Route['rule']): Route => ({
    rule,
    handle: (_request, response) => {
      response.setHeader('allow', 'GET');
      refuse(response, { code: 'bad_request', status: 405, message: 'Only GET is answered here.' });
    },
  });
  return (request: IncomingMessage, { path }: Target): Route | undefined => {
    if (path === '/mcp') return undefined;
    if (path === '/oauth/logout') return logout;
    if (OAUTH_SERVER_PATHS.test(path)) return noOauthServer;
    const route = routes.get(path);
    if (!route || (path === '/' && wantsEventStream(request))) return undefined;
    const acts = path === '/oauth/login' || path === broker.settings.redirectPath;
    if (request.method === 'GET' || (request.method === 'HEAD' && !acts)) return route;
    return acts || path === '/oauth/status' ? wrongMethod(route.rule) : undefined;
  };
}

/** For people as much as for scripts: every member is there, and each on a line of its own. */
async function answerStatus(broker: RoutedBroker, response: ServerResponse): Promise<void> {
  const text = JSON.stringify(await broker.status(), (_name, value: unknown) => value ?? null, 2);
  send(response, 200, `${text}\n`, JSON_HEADERS);
}

async function answerReadiness(broker: RoutedBroker, response: ServerResponse): Promise<void> {
  const { ready, authenticated, reason } = await broker.readiness();
  const status = ready ? 'ok' : 'unavailable';
  sendJson(response, ready ? 200 : 503, { status, upstream: broker.upstreamShown, authenticated, reason });
}

async function answerRoot(
  broker: RoutedBroker,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const status = await broker.status();
  if (!wantsPage(request)) {
    sendJson(response, 200, {
      name: 'MCP Auth Proxy',
      version: broker.health().version,
      state: status.state,
      upstream: status.upstream,
      mcp_url: broker.mcpUrl,
      login_url: broker.loginUrl,
      logout_url: broker.loginUrl.replace(/login$/, 'logout'),
      status_url: broker.loginUrl.replace(/login$/, 'status'),
      health_url: `${broker.localUrl}/health`,
    });
    return;
  }
  const expires = status.access_token.expires_at;
  sendPage(
    response,
    200,
    landingPage({
      version: broker.health().version,
      state: status.state,
      stateText: stateText(status.state, broker.upstreamHost, status.reason),
      upstream: status.upstream,
      mcpUrl: broker.mcpUrl,
      loginUrl: '/oauth/login',
      logoutPath: '/oauth/logout',
      statusPath: '/oauth/status',
      scopes: status.scopes.granted,
      needsApiKey: broker.settings.proxyApiKey !== undefined,
      wantsMoreAccess: status.step_up !== undefined,
      ...(status.issuer === undefined ? {} : { issuer: status.issuer }),
      ...(expires === undefined ? {} : { accessTokenExpiresAt: new Date(expires) }),
      ...(status.last_error === undefined ? {} : { lastError: status.last_error }),
    }),
  );
}

async function startLogin(
  broker: RoutedBroker,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const url = await broker.login();
    response
      .writeHead(302, { location: url.href, 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' })
      .end();
  } catch (error) {
    if (!(error instanceof LoginFailure)) throw error;
    const status = statusOf(error);
    if (!wantsPage(request)) {
      sendJson(response, status, { error: error.code, message: error.message, cure: error.cure });
    } else if (error.code === 'not_required') {
      sendPage(response, 200, notRequiredPage({ upstream: broker.upstreamShown, mcpUrl: broker.mcpUrl }));
    } else {
      sendPage(response, status, failurePage(broker, error));
    }
  }
}

function statusOf({ code, origin }: LoginFailure): number {
  if (code === 'not_required') return 200;
  if (code === 'cancelled') return 409;
  return origin === 'timeout' ? 504 : 502;
}

/** A click on a page of our own comes from this site: no other one can make it. */
function askToLogIn(broker: RoutedBroker, response: ServerResponse): void {
  sendPage(response, 403, confirmLoginPage({ upstream: broker.upstreamShown, loginUrl: '/oauth/login' }));
}

async function finishLogin(broker: RoutedBroker, response: ServerResponse, target: Target): Promise<void> {
  try {
    const { warning } = await broker.finishLogin(new URL(broker.redirectUri + target.query));
    const upstream = broker.upstreamShown;
    sendPage(response, 200, loginDonePage(warning === undefined ? { upstream } : { upstream, warning }));
  } catch (error) {
    if (!(error instanceof LoginFailure)) throw error;
    const status = { request: 400, server: 502, timeout: 504 }[error.origin];
    sendPage(response, status, failurePage(broker, error));
  }
}

async function endLogin(
  broker: RoutedBroker,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  let revocation: Revocation;
  try {
    revocation = await broker.logout();
  } catch (error) {
    if (!(error instanceof SecretStoreError)) throw error;
    const cure = 'Remove the stored login by hand, or try again.';
    if (wantsPage(request)) {
      const title = 'The login is still stored';
      sendPage(
        response,
        500,
        loginFailedPage({ upstream: broker.upstreamShown, title, message: error.message, cure }),
      );
    } else {
      sendJson(response, 500, { error: 'store_failed', message: error.message, cure });
    }
    return;
  }
  if (!wantsPage(request)) {
    sendJson(response, 200, { status: 'logged_out', revocation });
    return;
  }
  sendPage(
    response,
    200,
    loggedOutPage({
      upstream: broker.upstreamShown,
      revoked: REVOCATION_TEXT[revocation],
      loginUrl: '/oauth/login',
    }),
  );
}

const REVOCATION_TEXT: Record<Revocation, string> = {
  revoked: 'The server has revoked the tokens, and nothing of the login is kept here.',
  nothing_to_revoke: 'Nothing of a login is kept here.',
  not_supported:
    'The server cannot revoke tokens; nothing of the login is kept here, and the last token ends by itself.',
  failed: 'The server could not be told to revoke the tokens; nothing of the login is kept here.',
};

/** RFC 6749 §5.2 and RFC 8414 clients read `error_description`: while a login is needed, it says how to get one. */
function denyOauthServer(broker: RoutedBroker, response: ServerResponse): void {
  const needsLogin = broker.state !== 'authenticated' && broker.state !== 'not_required';
  sendJson(response, 404, {
    error: 'not_found',
    error_description: needsLogin
      ? `Open ${broker.loginUrl} to log in to ${broker.upstreamHost}, then reconnect this server.`
      : 'This proxy adds the token by itself; connect without OAuth.',
  });
}

function failurePage(broker: RoutedBroker, { message, cure, code }: LoginFailure): string {
  if (code === 'invalid_callback' && broker.state === 'authenticated') {
    return loginFailedPage({ upstream: broker.upstreamShown, title: 'Nothing is left to do', message, cure });
  }
  return loginFailedPage({
    upstream: broker.upstreamShown,
    message,
    cure,
    detail: code,
    retryUrl: '/oauth/login',
  });
}

function stateText(state: BrokerState, host: string, reason: string | undefined): string {
  switch (state) {
    case 'logged_out':
      return `Log in to ${host} once; MCP clients then need no login of their own.`;
    case 'logging_in':
      return 'A login is under way in a browser.';
    case 'authenticated':
      return reason ?? 'MCP clients can use the address below; tokens are renewed by themselves.';
    case 'login_required':
      return reason ?? 'The login has ended; log in again.';
    case 'not_required':
      return `${host} answers without a login.`;
    case 'error':
      return reason ?? 'The stored login cannot be read.';
  }
}

function wantsPage({ headers }: IncomingMessage): boolean {
  return /\btext\/html\b/i.test(headers.accept ?? '');
}

function sendPage(response: ServerResponse, status: number, page: string): void {
  send(response, status, page, PAGE_HEADERS);
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  send(response, status, `${JSON.stringify(body)}\n`, JSON_HEADERS);
}

const JSON_HEADERS = { 'content-type': 'application/json', 'cache-control': 'no-store' };

function send(response: ServerResponse, status: number, text: string, headers: OutgoingHttpHeaders): void {
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(text) });
  response.end(text);
}
