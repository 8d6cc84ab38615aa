import { describe, expect, it } from 'vitest';
import { notRequiredPage } from '../../../app/pages/not-required.ts';
import { common } from './fixtures.ts';

describe('notRequiredPage', () => {
  it('says so and shows the address', () => {
    const page = notRequiredPage(common);
    expect(page).toContain('<h1>No login needed</h1>');
    expect(page).toContain('<code class="copy">http://127.0.0.1:5177/mcp</code>');
  });
});
