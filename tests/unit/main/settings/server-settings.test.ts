import { describe, expect, it } from 'vitest';
import { inWindowWords } from '../../../../main/settings/server-settings.ts';

describe('a sentence of a broker, in the words of the window', () => {
  it.each([
    [
      'Check UPSTREAM_MCP_URL. If the server documents its endpoints, set AUTHORIZATION_ENDPOINT and TOKEN_ENDPOINT.',
      'Check "URL of the MCP server". If the server documents its endpoints, set "Authorization endpoint" and "Token endpoint".',
    ],
    [
      'Ask its operator; if you know that it does, set REQUIRE_PKCE_METADATA=false: PKCE is used all the same.',
      'Ask its operator; if you know that it does, set "requirePkceMetadata" in settings.json to false: PKCE is used all the same.',
    ],
    [
      'Register a client with the operator of the server by hand and set CLIENT_ID (and CLIENT_SECRET).',
      'Register a client with the operator of the server by hand and set "Client ID" (and "Client secret").',
    ],
    ['Try again, or set TOKEN_STORE=file.', 'Try again, or set "tokenStore" in settings.json to file.'],
    [
      'If its CA is one of your own, name its PEM file with EXTRA_CA_CERTS; else do not log in there.',
      'If its CA is one of your own, name its PEM file with "extraCaCerts" of settings.json; else do not log in there.',
    ],
  ])('%s', (sentence, said) => {
    expect(inWindowWords(sentence)).toBe(said);
  });

  it.each([
    'Set STATE_DIR to another folder.',
    'The certificate has expired (CERT_HAS_EXPIRED).',
    'mcp.example.com cannot be reached (ECONNREFUSED, nothing listens there).',
    'The login server has ended this login (invalid_grant).',
  ])('leaves alone: %s', (sentence) => {
    expect(inWindowWords(sentence)).toBe(sentence);
  });
});
