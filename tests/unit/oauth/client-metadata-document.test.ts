import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { faultOfClientMetadata } from '../../../app/oauth/client-metadata-document.ts';
import { givenHttpClient } from '../../support/http-client.ts';
import { givenScriptedServer, type ScriptedAnswer } from '../../support/scripted-server.ts';

const REDIRECT_URI = 'http://127.0.0.1:6001/oauth/callback';
const SHIPPED = JSON.parse(
  readFileSync(new URL('../../../docs/client-metadata.json', import.meta.url), 'utf8'),
) as Record<string, unknown>;

/** Checks a document; `change` makes it from the one that is shipped, with its own URL in it. */
async function faultOf(
  answer: (document: Record<string, unknown>) => ScriptedAnswer,
  redirectUri = REDIRECT_URI,
) {
  const server = await givenScriptedServer();
  const url = `${server.origin}/client.json`;
  server.script['/client.json'] = answer({ ...SHIPPED, client_id: url });
  const http = givenHttpClient({ upstreamMcpUrl: server.origin });
  return faultOfClientMetadata(url, redirectUri, http.request);
}

describe('the client ID metadata document', () => {
  it.each([REDIRECT_URI, 'http://[::1]:6001/oauth/callback', 'http://127.0.0.1:5177/oauth/callback'])(
    'that is shipped is sound on any port of a loopback literal: %s',
    async (redirectUri) => {
      expect(await faultOf((json) => ({ json }), redirectUri)).toBeUndefined();
    },
  );

  it.each<[string, (document: Record<string, unknown>) => ScriptedAnswer, RegExp]>([
    ['is not there', () => 404, /answers HTTP 404; host the document/],
    ['moved', () => ({ text: '', status: 302, headers: { location: '/x' } }), /HTTP 302.*without a redirect/],
    ['is not JSON', () => ({ text: '<html>' }), /is not a JSON object/],
    ['has no name', ({ client_name: _, ...json }) => ({ json }), /no valid "client_name"; add it/],
    [
      'is of another URL',
      (json) => ({ json: { ...json, client_id: 'https://x.example/c' } }),
      /names the client_id https:\/\/x\.example\/c; it must be exactly/,
    ],
    [
      'lacks the redirect URI',
      (json) => ({ json: { ...json, redirect_uris: ['https://x.example/cb'] } }),
      /does not list the redirect URI http:\/\/127\.0\.0\.1:6001/,
    ],
    [
      'has another path',
      (json) => ({ json: { ...json, redirect_uris: ['http://127.0.0.1:6001/cb'] } }),
      /does not list/,
    ],
    [
      'wants a secret',
      (json) => ({ json: { ...json, token_endpoint_auth_method: 'client_secret_basic' } }),
      /set token_endpoint_auth_method to "none"/,
    ],
  ])('that %s is said, with what to do', async (_, answer, fault) => {
    expect(await faultOf(answer)).toMatch(fault);
  });

  it('does not let the port vary for a host name', async () => {
    expect(await faultOf((json) => ({ json }), 'http://localhost:6001/oauth/callback')).toMatch(
      /does not list/,
    );
  });
});
