import { describe, expect, it } from 'vitest';
import { loginDonePage } from '../../../app/pages/login-done.ts';
import { common } from './fixtures.ts';

describe('loginDonePage', () => {
  it('says that one is logged in and can close the window', () => {
    const page = loginDonePage(common);
    expect(page).toContain('<h1>You are logged in</h1>');
    expect(page).toContain('You can close this window.');
    expect(page).toContain('mcp.example.com');
  });
});
