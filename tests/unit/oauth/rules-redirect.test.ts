import { describe, expect, it } from 'vitest';
import { obtainClient } from '../../../app/oauth/registration.ts';
import { DEFAULT_CLIENT_ID } from '../../../app/settings.ts';
import { givenHttpClient } from '../../support/http-client.ts';
import { registrationAt } from '../../support/registration.ts';
import { givenScriptedServer } from '../../support/scripted-server.ts';

/** Obtains a client for a redirect URI, at a server that registers everything. */
async function obtainFor(redirectUri: string, clientId: string) {
  const as = await givenScriptedServer({ 'POST /register': { status: 201, json: { client_id: 'new' } } });
  const { request } = givenHttpClient({ upstreamMcpUrl: as.origin });
  const client = obtainClient(registrationAt(as.origin, request, { redirectUri, settings: { clientId } }));
  return { as, client };
}

describe('the redirect URI', () => {
  it.each([
    'https://proxy.example.com/oauth/callback',
    'http://127.0.0.1:5177/oauth/callback',
    'http://[::1]:5177/oauth/callback',
    'http://localhost:5177/oauth/callback',
  ])('may be https or on this machine: %s', async (redirectUri) => {
    const { client } = await obtainFor(redirectUri, DEFAULT_CLIENT_ID);
    expect(await client).toMatchObject({ client_id: 'new', redirect_uri: redirectUri });
  });

  it.each([DEFAULT_CLIENT_ID, 'configured'])(
    'may not be plain http elsewhere, where others could read the code (client %s)',
    async (clientId) => {
      const { as, client } = await obtainFor('http://192.168.1.5:5177/oauth/callback', clientId);
      await expect(client).rejects.toMatchObject({
        code: 'registration_failed',
        message: expect.stringContaining('http://192.168.1.5:5177/oauth/callback'),
        cure: expect.stringContaining('PUBLIC_BASE_URL'),
      });
      expect(as.asked).toEqual([]);
    },
  );
});
