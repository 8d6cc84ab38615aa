import { describe, expect, it } from 'vitest';
import { embeddedRefusal, isTextWorthReading } from '../../../../main/login/embedded-refusal.ts';

/** As Google writes it: a serialized message whose first field is the error's name. */
const AUTH_ERROR = Buffer.from(
  "\n\x14disallowed_useragent\x12\x90\x01You can't sign in from this screen",
).toString('base64');

describe('a page that refuses embedded browsers', () => {
  it.each([
    [
      'Google',
      {
        url: 'https://accounts.google.com/v3/signin/rejected?continue=https%3A%2F%2Fa&flowName=GeneralOAuthFlow',
      },
    ],
    ['Google', { url: 'https://accounts.google.com/signin/rejected' }],
    ['Google', { url: 'https://accounts.google.com/signin/v2/deniedsigninrejected?flowEntry=ServiceLogin' }],
    ['Google', { url: 'https://accounts.google.com/signin/oauth/deniedsigninrejected?x=1' }],
    [
      'Google',
      {
        url: `https://accounts.google.com/signin/oauth/error?authError=${encodeURIComponent(AUTH_ERROR)}&client_id=a`,
      },
    ],
    [
      'Google',
      {
        url: 'https://accounts.google.com/o/oauth2/auth',
        status: 403,
        text: 'Error 403: disallowed_useragent',
      },
    ],
    [
      'Google',
      {
        url: 'https://accounts.google.de/v3/signin/challenge',
        text: 'This browser or app may not be secure. Learn more',
      },
    ],
    [
      'Google',
      {
        url: 'https://accounts.google.com/x',
        text: 'because this app doesn’t comply with Google’s secure browsers policy.',
      },
    ],
    [
      'Microsoft',
      { url: 'https://login.microsoftonline.com/common/login', text: 'You can’t get there from here' },
    ],
    [
      'Microsoft',
      { url: 'https://login.microsoftonline.com/common/login', title: "You can't get there from here" },
    ],
    [
      'Microsoft',
      { url: 'https://login.microsoftonline.com/common/login', text: 'Error Code: AADSTS530003' },
    ],
    [
      'Facebook',
      {
        url: 'https://www.facebook.com/dialog/oauth',
        text: 'Logging in from an embedded browser is disabled.',
      },
    ],
    ['as.example.com', { url: 'https://as.example.com/error?error=disallowed_useragent' }],
    ['as.example.com', { url: 'https://as.example.com/#error=unsupported_browser' }],
    ['as.example.com:8443', { url: 'https://as.example.com:8443/', title: 'Unsupported browser' }],
    ['as.example.com', { url: 'https://as.example.com/', title: 'Your browser is not supported | Example' }],
    [
      'as.example.com',
      { url: 'https://as.example.com/', status: 403, text: 'Embedded webviews may not log in.' },
    ],
  ])('is known: %s by %o', (who, facts) => {
    expect(embeddedRefusal(facts)).toBe(
      `${who} does not let people log in inside an app. Go on in your browser.`,
    );
  });

  it.each([
    {
      url: 'https://accounts.google.com/v3/signin/identifier?flowName=GeneralOAuthFlow',
      title: 'Sign in - Google Accounts',
    },
    { url: 'https://accounts.google.com/signin/oauth/consent?authuser=0' },
    {
      url: `https://accounts.google.com/signin/oauth/error?authError=${Buffer.from('access_denied').toString('base64')}`,
    },
    { url: 'https://accounts.google.com.evil.example/v3/signin/rejected' },
    { url: 'https://www.google.com/search?q=signin/rejected', title: 'signin/rejected' },
    { url: 'https://as.example.com/authorize?error=access_denied', title: 'Sign in' },
    { url: 'https://as.example.com/', status: 403, title: 'Forbidden', text: 'You have no access.' },
    { url: 'https://as.example.com/', status: 200, text: 'Unsupported browser? Read our help.' },
    { url: 'https://as.example.com/signin/rejected' },
    {
      url: 'https://login.microsoftonline.com/common/login',
      title: 'Sign in to your account',
      text: 'We couldn’t sign you in.',
    },
    { url: 'about:blank' },
    { url: '' },
  ])('is not taken for %o', (facts) => {
    expect(embeddedRefusal(facts)).toBeUndefined();
  });
});

describe('the text of a page', () => {
  it('is read where a refusal may stand, and nowhere else', () => {
    expect(isTextWorthReading({ url: 'https://accounts.google.com/', status: 200 })).toBe(true);
    expect(isTextWorthReading({ url: 'https://as.example.com/', status: 403 })).toBe(true);
    expect(isTextWorthReading({ url: 'https://as.example.com/', status: 200 })).toBe(false);
    expect(isTextWorthReading({ url: 'https://as.example.com/' })).toBe(false);
    expect(isTextWorthReading({ url: '' })).toBe(false);
  });
});
