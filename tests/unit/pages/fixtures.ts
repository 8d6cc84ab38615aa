import { confirmLoginPage } from '../../../app/pages/confirm-login.ts';
import { type LandingState, landingPage } from '../../../app/pages/landing.ts';
import { loggedOutPage } from '../../../app/pages/logged-out.ts';
import { loginDonePage } from '../../../app/pages/login-done.ts';
import { loginFailedPage } from '../../../app/pages/login-failed.ts';
import { notRequiredPage } from '../../../app/pages/not-required.ts';

export const STATES: readonly LandingState[] = [
  'logged_out',
  'logging_in',
  'authenticated',
  'login_required',
  'not_required',
  'error',
];

export const common = {
  upstream: 'https://mcp.example.com/my/mcp',
  mcpUrl: 'http://127.0.0.1:5177/mcp',
  loginUrl: 'http://127.0.0.1:5177/oauth/login',
};

export const landing = {
  ...common,
  version: '1.2.3',
  state: 'authenticated' as LandingState,
  stateText: 'Logged in.',
  logoutPath: '/oauth/logout',
  statusPath: '/oauth/status',
};

/** Every page with one value in all of its fields, by name. */
export function pagesWith(value: string): Record<string, string> {
  const fields = {
    version: value,
    stateText: value,
    upstream: value,
    mcpUrl: value,
    loginUrl: value,
    logoutPath: value,
    statusPath: value,
    issuer: value,
    scopes: [value, value],
    lastError: { message: value, cure: value },
    needsApiKey: true,
    accessTokenExpiresAt: new Date(Number.NaN),
  };
  return {
    ...Object.fromEntries(STATES.map((state) => [`landing ${state}`, landingPage({ ...fields, state })])),
    'login done': loginDonePage({ upstream: value }),
    'login failed': loginFailedPage({
      upstream: value,
      title: value,
      message: value,
      cure: value,
      detail: value,
      retryUrl: value,
    }),
    'not required': notRequiredPage({ upstream: value, mcpUrl: value }),
    'confirm login': confirmLoginPage({ upstream: value, loginUrl: value }),
    'logged out': loggedOutPage({ upstream: value, revoked: value, loginUrl: value }),
  };
}

/** Every page with ordinary values, by name. */
export const ordinary = Object.entries({
  ...Object.fromEntries(STATES.map((state) => [`landing ${state}`, landingPage({ ...landing, state })])),
  'login done': loginDonePage(common),
  'login failed': loginFailedPage({
    ...common,
    message: 'It failed.',
    cure: 'Try again.',
    retryUrl: '/oauth/login',
  }),
  'not required': notRequiredPage(common),
  'confirm login': confirmLoginPage(common),
  'logged out': loggedOutPage({ ...common, revoked: 'The tokens were revoked.' }),
});
