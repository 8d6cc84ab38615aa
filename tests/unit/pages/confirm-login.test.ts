import { describe, expect, it } from 'vitest';
import { confirmLoginPage } from '../../../app/pages/confirm-login.ts';
import { common } from './fixtures.ts';

describe('confirmLoginPage', () => {
  it('names the server, and leads to the login by a link of its own', () => {
    const page = confirmLoginPage({ ...common, loginUrl: '/oauth/login' });
    expect(page).toContain('<strong>mcp.example.com</strong>');
    expect(page).toContain('<a class="button" href="/oauth/login">Log in</a>');
  });
});
