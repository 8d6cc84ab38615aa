import { describe, expect, it } from 'vitest';
import { answers, isRedirect } from '../../../../main/login/redirects.ts';

const REDIRECT_URI = 'http://127.0.0.1:5177/oauth/callback';

describe('the redirect URI', () => {
  it.each([
    'http://127.0.0.1:5177/oauth/callback',
    'http://127.0.0.1:5177/oauth/callback?code=a&state=b',
    'http://127.0.0.1:5177/oauth/callback?error=access_denied#fragment',
    'HTTP://127.0.0.1:5177/oauth/./callback?code=a',
  ])('is known again in %s', (url) => {
    expect(isRedirect(url, REDIRECT_URI)).toBe(true);
  });

  it.each([
    'http://127.0.0.1:5178/oauth/callback?code=a',
    'http://localhost:5177/oauth/callback?code=a',
    'https://127.0.0.1:5177/oauth/callback?code=a',
    'http://127.0.0.1:5177/oauth/callback/?code=a',
    'http://127.0.0.1:5177/oauth/callbacks?code=a',
    'http://127.0.0.1:5177/OAuth/callback?code=a',
    'http://127.0.0.1:5177.example.com/oauth/callback?code=a',
    'http://127.0.0.1:5177@example.com/oauth/callback?code=a',
    'https://example.com/?to=http://127.0.0.1:5177/oauth/callback?code=a',
    'about:blank',
    '',
  ])('is not taken for %s', (url) => {
    expect(isRedirect(url, REDIRECT_URI)).toBe(false);
  });

  it('has the port it has by default', () => {
    expect(isRedirect('https://proxy.example.com:443/cb?code=a', 'https://proxy.example.com/cb')).toBe(true);
  });
});

describe('an answer', () => {
  const request = new URL('https://as.example.com/authorize?state=s1&client_id=a');

  it('belongs to the request with its state', () => {
    expect(answers(`${REDIRECT_URI}?code=a&state=s1`, request)).toBe(true);
  });

  it.each([`${REDIRECT_URI}?code=a&state=s2`, `${REDIRECT_URI}?code=a`, 'nonsense'])('but not %s', (url) => {
    expect(answers(url, request)).toBe(false);
  });

  it('belongs to no request without a state', () => {
    expect(answers(`${REDIRECT_URI}?code=a`, new URL('https://as.example.com/authorize'))).toBe(false);
  });
});
