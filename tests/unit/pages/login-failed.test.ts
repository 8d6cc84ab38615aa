import { describe, expect, it } from 'vitest';
import { loginFailedPage } from '../../../app/pages/login-failed.ts';
import { common } from './fixtures.ts';

describe('loginFailedPage', () => {
  it('says what went wrong and what to do', () => {
    const page = loginFailedPage({
      ...common,
      message: 'The login took too long.',
      cure: 'Start it again.',
      detail: 'state expired',
      retryUrl: common.loginUrl,
    });
    expect(page).toContain('<h1>The login did not work</h1>');
    expect(page).toContain('The login took too long.');
    expect(page).toContain('Start it again.');
    expect(page).toContain('state expired');
    expect(page).toContain(`<a class="button" href="${common.loginUrl}">Try again</a>`);
    const bare = loginFailedPage({ ...common, title: 'Access was refused', message: 'm', cure: 'c' });
    expect(bare).toContain('<h1>Access was refused</h1>');
    expect(bare).not.toMatch(/Try again|<details>/);
  });
});
