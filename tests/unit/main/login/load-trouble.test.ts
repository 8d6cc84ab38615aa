import { describe, expect, it } from 'vitest';
import { leadsAway, loadTrouble } from '../../../../main/login/load-trouble.ts';

describe('a page that does not come', () => {
  it.each([
    ['ERR_INTERNET_DISCONNECTED', 'offline'],
    ['ERR_NAME_NOT_RESOLVED', 'No server named as.example.com'],
    ['ERR_NAME_RESOLUTION_FAILED', 'No server named as.example.com'],
    ['ERR_CONNECTION_REFUSED', 'as.example.com refuses connections'],
    ['ERR_CONNECTION_TIMED_OUT', 'as.example.com does not answer'],
    ['ERR_TIMED_OUT', 'as.example.com does not answer'],
    ['ERR_ADDRESS_UNREACHABLE', 'no way to as.example.com'],
    ['ERR_CERT_AUTHORITY_INVALID', 'not safe'],
    ['ERR_CERT_DATE_INVALID', 'not safe'],
    ['ERR_SSL_PROTOCOL_ERROR', 'not safe'],
    ['ERR_BAD_SSL_CLIENT_AUTH_CERT', 'Go on in your browser'],
    ['ERR_SSL_CLIENT_AUTH_CERT_NEEDED', 'Go on in your browser'],
    ['ERR_PROXY_CONNECTION_FAILED', 'proxy'],
    ['ERR_TUNNEL_CONNECTION_FAILED', 'proxy'],
    ['ERR_SOCKS_CONNECTION_FAILED', 'proxy'],
    ['ERR_CONNECTION_RESET', 'broke off'],
    ['ERR_EMPTY_RESPONSE', 'broke off'],
    ['ERR_NETWORK_CHANGED', 'network changed'],
    ['ERR_TOO_MANY_REDIRECTS', 'round in circles'],
    ['ERR_HTTP_RESPONSE_CODE_FAILURE', 'an error and no page'],
    ['ERR_UNSAFE_PORT', 'cannot be loaded (UNSAFE_PORT)'],
  ])('%s: %s', (name, words) => {
    expect(loadTrouble(name, 'as.example.com')).toContain(words);
  });
});

describe('a page that leads away', () => {
  it('is told by the kind of its address, and never by the address', () => {
    expect(leadsAway('http://example.com/?token=secret')).toBe(
      'The login leads to a page without encryption, which is not opened here.',
    );
    expect(leadsAway('mailto:secret@example.com')).toContain('no web page (mailto:)');
    expect(leadsAway('nonsense')).toContain('no web page (unknown)');
    expect(leadsAway(`${'x'.repeat(500)}:secret`).length).toBeLessThan(150);
  });
});
