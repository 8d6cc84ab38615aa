import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { redact } from '../../app/redaction.ts';

/** Shapes that tokens, codes and keys have. Made up, or random anew on each run. */
const SECRETS: ReadonlyArray<readonly [shape: string, secret: string]> = [
  ['a short word', 'abc'],
  ['a short mixed word', 'tok-1'],
  ['RFC 6750 example', 'mF_9.B5f-4.1JqM'],
  ['RFC 6749 code', 'SplxlOBeZQQYbYS6WxSbIA'],
  ['base64url of 32 bytes', randomBytes(32).toString('base64url')],
  ['hex of 20 bytes', createHash('sha1').update('x').digest('hex')],
  ['hex of 32 bytes', randomBytes(32).toString('hex')],
  ['JWT', `eyJhbGciOiJub25lIn0.${Buffer.from('{"sub":"me"}').toString('base64url')}.c2ln`],
  ['unsigned JWT', `eyJhbGciOiJub25lIn0.${Buffer.from('{"sub":"me"}').toString('base64url')}.`],
  ['prefixed key', 'sk-proj-4fJq0vX2bT7yN1mZ8cQwL5'],
  ['GitHub token', 'ghp_16C7e42F292c6912E7710c838347Ae178B4a'],
  ['UUID', '0b5a1f66-3c2d-4f8e-9a77-1f0e2d3c4b5a'],
  ['digits', '00112233445566778899'],
];

/** Where they turn up. */
const CONTEXTS: ReadonlyArray<readonly [place: string, line: (secret: string) => string]> = [
  ['a bearer header', (s) => `Authorization: Bearer ${s}`],
  ['a bearer header in lower case', (s) => `authorization: bearer ${s}`],
  ['a DPoP header', (s) => `authorization: DPoP ${s}`],
  ['another scheme', (s) => `authorization: token ${s}`],
  ['a bearer token in a sentence', (s) => `the upstream got Bearer ${s}, and refused`],
  ['a header dump', (s) => `GET /mcp HTTP/1.1\r\nHost: h\r\nX-Api-Key: ${s}\r\nAccept: */*`],
  ['a header object', (s) => JSON.stringify({ 'x-api-key': s, authorization: `Bearer ${s}`, accept: '*/*' })],
  ['a cookie with quotes', (s) => `Cookie: a="b"; session=${s}`],
  ['a digest', (s) => `Proxy-Authorization: Digest username="me", response="${s}"`],
  ['the second cookie', (s) => `Cookie: theme=dark; session=${s}`],
  ['a set cookie', (s) => `set-cookie: sid=${s}; Path=/; HttpOnly`],
  ['a token request', (s) => `grant_type=refresh_token&refresh_token=${s}&client_id=c&client_secret=${s}`],
  ['the first field of a form', (s) => `code=${s}&grant_type=authorization_code&code_verifier=${s}`],
  ['a callback', (s) => `http://127.0.0.1:5177/oauth/callback?code=${s}&state=${s}&iss=https%3A%2F%2Fas`],
  ['a callback inside a URL', (s) => `/login?next=%2Foauth%2Fcallback%3Fcode%3D${s}%26state%3D${s}`],
  ['a fragment', (s) => `https://h/cb#access_token=${s}&token_type=bearer`],
  ['JSON', (s) => JSON.stringify({ access_token: s, token_type: 'Bearer', refresh_token: s, id_token: s })],
  ['JSON with spaces', (s) => JSON.stringify({ registration_access_token: s, client_secret: s }, null, 2)],
  ['JSON inside JSON', (s) => JSON.stringify({ body: JSON.stringify({ code: s, access_token: s }) })],
  ['JSON that was cut', (s) => `{"access_token":"${s}`],
  ['an inspected object', (s) => `{ access_token: '${s}', expires_in: 3600, clientSecret: '${s}' }`],
  ['log details', (s) => `Logged in token=${s} password=${s} apiKey=${s}`],
  ['environment', (s) => `CLIENT_SECRET=${s} TOKEN_STORE_KEY=${s} PROXY_API_KEY="${s}"`],
];

describe('redact', () => {
  for (const [place, line] of CONTEXTS) {
    it.each(SECRETS)(`hides, in ${place}, %s`, (_, secret) => {
      const clean = redact(line(secret));
      expect(clean).toContain('[redacted]');
      expect(clean).not.toContain(secret);
    });
  }

  it('hides a value in quotes to its end, whatever is in it', () => {
    expect(redact('{"client_secret":"a b, c & \\"d\\"; e","x":1}')).toBe(
      '{"client_secret":"[redacted]","x":1}',
    );
    expect(redact(`{ password: 'a, b' }`)).toBe(`{ password: '[redacted]' }`);
  });

  it('hides long opaque words wherever they stand', () => {
    for (const [, secret] of SECRETS.filter(([, { length }]) => length >= 20)) {
      expect(redact(`Something odd: ${secret} (at /a/${secret}/b)`)).not.toContain(secret);
    }
  });

  it.each([
    ['as it is', 'open sesame', 'said open sesame to it'],
    ['in JSON', 'say "friend" \\o/', JSON.stringify({ pass: 'say "friend" \\o/' })],
    ['in a URL', 'a b&c', `/x?pass=${encodeURIComponent('a b&c')}`],
    ['in a form', 'a b&c', new URLSearchParams({ pass: 'a b&c' }).toString()],
    ['in the middle of a word', 'abc', 'xabcx'],
  ])('hides a secret that is known by value, %s', (_, secret, line) => {
    const clean = redact(line, [secret]);
    expect(clean).toContain('[redacted]');
    expect(clean).not.toMatch(/sesame|friend|a.{0,3}b.{0,3}c/);
  });

  it('hides the whole of a known secret that begins with another one', () => {
    expect(redact('it is abcdef', ['abc', 'abcdef'])).toBe('it is [redacted]');
    expect(redact('nothing', [''])).toBe('nothing');
  });

  it('does not mind being asked twice', () => {
    for (const [, line] of CONTEXTS) {
      const once = redact(line('mF_9.B5f-4.1JqM'));
      expect(redact(once)).toBe(once);
    }
  });

  it('takes hostile text in its stride', () => {
    for (const piece of ['code="', 'cookie: "', '\\', 'a=', 'Bearer ', 'eyJ.', "token='", '%3D', '-', 'a-1'])
      expect(redact(piece.repeat(20_000)).length).toBeGreaterThan(0);
  });

  it.each([
    'Listening version=0.1.0 url=http://127.0.0.1:5177/mcp upstream=https://mcp.example.com/my/mcp?…',
    'Not logged in; open http://127.0.0.1:5177/oauth/login if the server wants a login state=logged_out',
    'Login failed code=discovery_failed reason="The metadata at https://h/.well-known/oauth-protected-resource/mcp cannot be used: HTTP 500."',
    'Login started issuer=https://login.example.com/realms/main scope="mcp:tools mcp:resources offline_access"',
    'The upstream did not answer upstream=mcp.example.com:8443 reason=UND_ERR_HEADERS_TIMEOUT',
    'The token store failed store=secret-service code=locked reason="The keyring is locked."',
    'Request refused code=forbidden_host method=POST',
    'it cannot be reached (code ECONNREFUSED, code=ENOTFOUND, ERR_TLS_CERT_ALTNAME_INVALID)',
    'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA UNABLE_TO_VERIFY_LEAF_SIGNATURE DEPTH_ZERO_SELF_SIGNED_CERT',
    'as.example.com answered "invalid_grant" (The refresh token is no longer valid).',
    'request method=POST path=/mcp rpc=tools/call status=200 ms=12 complete=true',
    '{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"Open the page to log in."}}',
    'The process ended with exit code: 3 at 2025-11-23T15:45:06.123Z (1763912706123)',
    'The server asked for Bearer authentication; Basic authentication is not known here.',
    'WWW-Authenticate: Bearer realm="mcp", error="invalid_token", resource_metadata="https://h/.well-known/x"',
    'file /home/somebody/.local/state/mcp-auth-proxy/secrets/mcp.example.com-default.json is not readable',
    'C:\\Users\\Some Body\\AppData\\Local\\mcp-auth-proxy\\broker.old.log',
    '    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)',
    'authorization_endpoint=https://as.example.com/authorize token_endpoint_auth_methods_supported=client_secret_basic',
    'Access token refreshed rotated=true; the refresh token was stored, the access token ends in 3600 s.',
    'https://atlassian-remote-mcp-server-production.example.workers.dev/v1/sse',
    'KEYCHAIN_SERVICE "mcp-auth-proxy-refresh-token" must be 1 to 128 printable ASCII characters.',
  ])('leaves an ordinary line readable: %s', (line) => {
    expect(redact(line)).toBe(line);
  });
});
