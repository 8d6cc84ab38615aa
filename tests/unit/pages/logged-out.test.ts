import { describe, expect, it } from 'vitest';
import { loggedOutPage } from '../../../app/pages/logged-out.ts';
import { common } from './fixtures.ts';

describe('loggedOutPage', () => {
  it('says what became of the grant', () => {
    const page = loggedOutPage({ ...common, revoked: 'The login server offers no revocation.' });
    expect(page).toContain('<h1>You are logged out</h1>');
    expect(page).toContain('The login server offers no revocation.');
    expect(page).toContain(`href="${common.loginUrl}">Log in again</a>`);
  });
});
