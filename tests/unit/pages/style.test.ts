import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { PAGE_HEADERS, STYLE } from '../../../app/pages/style.ts';
import { ordinary } from './fixtures.ts';

describe('PAGE_HEADERS', () => {
  const policy = PAGE_HEADERS['content-security-policy'] ?? '';

  it.each(ordinary)('the policy names the style sheet of %s by its hash', (_, page) => {
    const style = /<style>([\s\S]*?)<\/style>/.exec(page)?.[1] ?? '';
    expect(policy).toContain(`style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`);
  });

  it('allows nothing more', () => {
    expect(policy.replace(/sha256-[^']+/, 'sha256-…')).toBe(
      "default-src 'none'; style-src 'sha256-…'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    );
    expect(PAGE_HEADERS).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    });
    expect(Object.isFrozen(PAGE_HEADERS)).toBe(true);
  });
});

describe('the colours', () => {
  const [light = '', dark = ''] = [...STYLE.matchAll(/:root \{([\s\S]*?)\}/g)].map((match) => match[1]);
  const pairs = [
    ['text', 'page'],
    ['text', 'card'],
    ['text', 'sunken'],
    ['muted', 'page'],
    ['muted', 'glow'],
    ['muted', 'card'],
    ['accent', 'card'],
    ['accent-strong', 'card'],
    ['on-accent', 'accent'],
    ['on-accent', 'accent-strong'],
    ...['good', 'warn', 'bad', 'busy', 'calm'].map((tone) => [tone, `${tone}-tint`] as const),
  ] as const;

  it.each(pairs)(
    '%s on %s has at least the contrast 4.5:1 (WCAG 2.2, 1.4.3) in light and dark',
    (front, back) => {
      for (const scheme of [light, dark]) {
        const [lighter = 0, darker = 0] = [luminance(scheme, front), luminance(scheme, back)].sort(
          (a, b) => b - a,
        );
        expect((lighter + 0.05) / (darker + 0.05)).toBeGreaterThanOrEqual(4.5);
      }
    },
  );

  /** Relative luminance as WCAG 2.2 defines it. */
  function luminance(scheme: string, name: string): number {
    const hex = new RegExp(`--${name}: #([0-9a-f]{6});`).exec(scheme)?.[1] ?? '';
    const [red = Number.NaN, green = Number.NaN, blue = Number.NaN] = [0, 2, 4].map((at) => {
      const channel = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
      return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  }
});
