import { describe, expect, it } from 'vitest';
import { givenBroker } from '../support/broker.ts';
import {
  comeBack,
  givenScriptedAuthorizationServer,
  givenScriptedMcpServer,
  leaveForLogin,
} from '../support/scripted-authorization.ts';

async function givenLogin(environment: NodeJS.ProcessEnv = {}) {
  const as = await givenScriptedAuthorizationServer();
  const mcp = await givenScriptedMcpServer(as.issuer);
  return { as, mcp, ...(await givenBroker(mcp.mcpUrl, environment)) };
}

describe('an authorization server that refuses a login', () => {
  it.each<[code: string, status: number, words: string, cure: string]>([
    ['access_denied', 400, 'the access was denied', 'start the login again and allow the access'],
    ['invalid_scope', 400, 'it does not give a scope that was asked for', 'Set SCOPES'],
    ['invalid_request', 400, 'it finds fault with the request', 'tell the operator'],
    ['invalid_target', 400, 'it does not know the MCP server', 'Check that UPSTREAM_MCP_URL'],
    ['unauthorized_client', 400, 'it does not let this client log in', 'will be registered anew'],
    ['unsupported_response_type', 400, 'it does not hand out authorization codes', 'tell the operator'],
    ['server_error', 502, 'it met an error of its own', 'again in a moment'],
    ['temporarily_unavailable', 502, 'it is overloaded or under maintenance', 'again in a moment'],
    ['login_required', 400, 'you are not signed in there', 'Sign in there with the same browser'],
    ['interaction_required', 400, 'it wants to ask you something first', 'Sign in there'],
    ['consent_required', 400, 'it wants your consent first', 'Sign in there'],
    ['account_selection_required', 400, 'you have to choose an account there', 'Sign in there'],
    ['something_of_its_own', 400, 'did not grant the login: something_of_its_own (', 'again in a moment'],
    ['constructor', 400, 'did not grant the login: constructor (', 'again in a moment'],
  ])(
    'by %s gets a page with HTTP %i that says so in words, with a cure',
    async (code, status, words, cure) => {
      const { as, broker, log } = await givenLogin();
      const answer = {
        error: code,
        error_description: 'Ask <b>somebody</b>',
        error_uri: 'https://as.example/x',
      };
      const { page, ...got } = await comeBack(await leaveForLogin(broker), answer);
      expect(got).toEqual({ status, location: null });
      for (const part of [words, code, cure, 'Ask &lt;b&gt;somebody&lt;/b&gt;']) expect(page).toContain(part);
      expect(page).not.toContain('as.example/x');

      const { last_error, state } = await broker.status();
      expect(state).toBe('logged_out');
      expect(last_error).toEqual({
        code: 'authorization_refused',
        message: expect.stringContaining(words),
        cure: expect.stringContaining(cure),
      });
      expect(log.entries).toContainEqual({
        level: 'warn',
        event: 'Login failed',
        details: { code: 'authorization_refused', reason: last_error?.message, cure: last_error?.cure },
      });
      expect(as.tokenRequests()).toEqual([]);
    },
  );

  it.each<[string, NodeJS.ProcessEnv, string]>([
    ['that was configured', { CLIENT_ID: 'mine' }, 'Check CLIENT_ID and CLIENT_SECRET'],
    [
      'by a metadata document',
      { CLIENT_METADATA_URL: 'https://localhost:1/client.json' },
      'Check the document at CLIENT_METADATA_URL',
    ],
  ])('for its client names the cure for one %s', async (_, environment, cure) => {
    const { as, mcp } = await givenLogin();
    as.metadata.client_id_metadata_document_supported = true;
    const { broker } = await givenBroker(mcp.mcpUrl, environment);
    const { page } = await comeBack(await leaveForLogin(broker), { error: 'unauthorized_client' });
    expect(page).toContain(cure);
  });

  it('by a wrong iss has nothing of its error acted on: neither words, nor cure, nor status', async () => {
    const { broker, log } = await givenLogin();
    const answer = { error: 'server_error', error_description: 'Call 555', iss: 'https://evil.example' };
    const { status, page } = await comeBack(await leaveForLogin(broker), answer);
    expect(status).toBe(400);
    const shown = page + log.text + JSON.stringify(await broker.status());
    for (const hidden of ['server_error', 'it met an error', 'Call 555', 'in a moment']) {
      expect(shown).not.toContain(hidden);
    }
  });
});

describe('a token response', () => {
  it.each(['DPoP', 'mac'])('of the type %s ends the login: the token is not used', async (type) => {
    const { as, mcp, broker } = await givenLogin();
    as.script['POST /token'] = { json: { access_token: 'as-access-1', token_type: type } };
    const { status, page } = await comeBack(await leaveForLogin(broker), { code: 'c' });
    expect(status).toBe(400);
    expect(page).toContain('no token that is a bearer token');
    expect(page).toContain('tell the operator');
    expect(await broker.status()).toMatchObject({ state: 'logged_out', refresh_token: { present: false } });
    expect(mcp.requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([]);
  });
});

describe('a client that the authorization server does not take any more', () => {
  it.each(['unauthorized_client', 'invalid_client'])(
    'in the answer to the authorization request (%s) is registered anew with the next login',
    async (error) => {
      const { broker } = await givenLogin();
      const first = await leaveForLogin(broker);
      expect((await comeBack(first, { error })).page).toContain('the client will be registered anew');
      const second = await leaveForLogin(broker);
      expect(second.searchParams.get('client_id')).not.toBe(first.searchParams.get('client_id'));
      expect((await comeBack(second, { code: 'c2' })).status).toBe(200);
    },
  );

  it('at the code exchange (unauthorized_client) is registered anew with the next login', async () => {
    const { as, broker } = await givenLogin();
    const grant = as.script['POST /token'] ?? 404;
    as.script['POST /token'] = { status: 400, json: { error: 'unauthorized_client' } };
    const first = await leaveForLogin(broker);
    expect((await comeBack(first, { code: 'c1' })).page).toContain('the client will be registered anew');
    as.script['POST /token'] = grant;
    const second = await leaveForLogin(broker);
    expect(second.searchParams.get('client_id')).not.toBe(first.searchParams.get('client_id'));
  });

  it('at the code exchange (invalid_client) is registered anew with the next login, and only once', async () => {
    const { as, broker } = await givenLogin();
    const registrations = () => as.asked.filter((request) => request === 'POST /register').length;
    const grant = as.script['POST /token'] ?? 404;
    as.script['POST /token'] = { status: 401, json: { error: 'invalid_client' } };
    const first = await leaveForLogin(broker);
    const { status, page } = await comeBack(first, { code: 'c1' });
    expect([status, registrations()]).toEqual([400, 1]);
    expect(page).toContain('the client will be registered anew');

    as.script['POST /token'] = grant;
    const second = await leaveForLogin(broker);
    expect(registrations()).toBe(2);
    expect(second.searchParams.get('client_id')).not.toBe(first.searchParams.get('client_id'));
    expect((await comeBack(second, { code: 'c2' })).status).toBe(200);
    const third = await leaveForLogin(broker);
    expect(third.searchParams.get('client_id')).toBe(second.searchParams.get('client_id'));
    expect(registrations()).toBe(2);
  });

  it('because its secret has expired is registered anew with the next login', async () => {
    const { as, broker } = await givenLogin();
    let count = 0;
    as.script['POST /register'] = (_request, response) => {
      count += 1;
      // Seconds since the epoch: long ago, then never.
      const expires = count === 1 ? 1_000_000_000 : 0;
      const client = {
        client_id: `c${count}`,
        client_secret: `s${count}`,
        client_secret_expires_at: expires,
      };
      response.writeHead(201, { 'content-type': 'application/json' }).end(JSON.stringify(client));
    };
    await leaveForLogin(broker);
    for (const _ of [1, 2]) {
      expect((await leaveForLogin(broker)).searchParams.get('client_id')).toBe('c2');
    }
    expect(count).toBe(2);
  });
});
