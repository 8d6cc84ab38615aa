import { describe, expect, it } from 'vitest';
import { loginFailedPage } from '../../../app/pages/login-failed.ts';
import { common, ordinary, pagesWith } from './fixtures.ts';

const hrefs = (page: string) =>
  [...page.matchAll(/(?:href|src|action)="([^"]*)"/g)].map((match) => match[1] ?? '');
const links = (page: string) => hrefs(page).filter((href) => !href.startsWith('data:image/svg+xml,'));
const tags = (page: string) => page.replace(/<style>[\s\S]*<\/style>/, '').match(/<[^>]*>/g) ?? [];

describe('every page', () => {
  it.each(ordinary)('%s is a whole, accessible document', (_, page) => {
    expect(page).toMatch(/^<!doctype html>\n<html lang="en">/);
    expect(page).toMatch(/<meta charset="utf-8">/);
    expect(page).toMatch(/<meta name="viewport" content="width=device-width, initial-scale=1">/);
    expect(page).toMatch(/<title>[^<]+ · MCP Auth Proxy<\/title>/);
    expect(page.match(/<h1>/g)).toHaveLength(1);
    expect(page.match(/<main/g)).toHaveLength(1);
    expect(page).not.toMatch(/undefined|\[object|NaN|Invalid Date/);
    for (const svg of page.match(/<svg[^>]*>/g) ?? []) expect(svg).toContain('aria-hidden="true"');
  });

  it.each(ordinary)('%s closes every element it opens', (_, page) => {
    const open: string[] = [];
    for (const tag of tags(page)) {
      const name = /^<\/?([a-z0-9]+)/.exec(tag)?.[1];
      if (name === undefined || ['meta', 'link'].includes(name) || tag.endsWith('/>')) continue;
      if (tag.startsWith('</')) expect(open.pop()).toBe(name);
      else open.push(name);
    }
    expect(open).toEqual([]);
  });

  it.each(ordinary)('%s has no script, no inline handler, no style but the one sheet', (_, page) => {
    expect(page).not.toMatch(/<script|javascript:/i);
    for (const tag of tags(page)) expect(tag).not.toMatch(/\s(?:on\w+|style)\s*=/i);
    expect(page.match(/<style>/g)).toHaveLength(1);
  });

  it.each(ordinary)('%s loads nothing from anywhere and links to this server only', (_, page) => {
    expect(page).not.toMatch(/\ssrc=|@import|url\(/);
    for (const link of links(page)) {
      expect(new URL(link, common.loginUrl).origin).toBe('http://127.0.0.1:5177');
    }
  });
});

describe('hostile values', () => {
  const payloads: readonly (readonly [payload: string, harmless: string])[] = [
    ['<script>alert(1)</script>', 'text'],
    ['"><img src=x onerror=alert(1)>', 'text'],
    ["' onmouseover='alert(1)", 'text'],
    ['</title></style></code><svg onload=alert(1)>', 'text'],
    ['&lt;script&gt; &amp; &#60;', 'text'],
    ['<!-- </pre>', 'text'],
    ['\u202e<b>\u0000', 'text'],
    ['http://user:pass@evil.example/<b>', 'text'],
    ['https://evil.example/"><script>alert(1)</script>', 'https://evil.example/'],
    ['/x\' onclick=alert(1) y="', '/x'],
  ];
  // The words of the shown command are elements of their own, as many as the value makes.
  const elements = (page: string) =>
    tags(page)
      .map((tag) => tag.split(/[\s>]/)[0])
      .filter((name) => name !== '<span' && name !== '</span');

  it.each(payloads)('%j adds no element and no attribute to any page', (payload, harmless) => {
    const harmlessPages = pagesWith(harmless);
    for (const [name, page] of Object.entries(pagesWith(payload))) {
      expect(elements(page)).toEqual(elements(harmlessPages[name] ?? ''));
      for (const tag of tags(page)) expect(tag.replaceAll(/"[^"]*"/g, '""')).not.toMatch(/\son\w+/i);
    }
  });

  it('an ampersand is escaped once, so that a written entity stays text', () => {
    const page = loginFailedPage({ upstream: 'u', message: 'a &amp; b', cure: `"c" & 'd'` });
    expect(page).toContain('a &amp;amp; b');
    expect(page).toContain('&quot;c&quot; &amp; &#39;d&#39;');
  });

  it.each([
    'javascript:alert(1)',
    'JaVaScRiPt:alert(1)',
    ' javascript:alert(1)',
    'java\tscript:alert(1)',
    '\u0001javascript:alert(1)',
    'data:text/html,<script>alert(1)</script>',
    'vbscript:x',
    'file:///etc/passwd',
    'blob:http://127.0.0.1/x',
    'ftp://h/x',
    '//evil.example/x',
    '/\\evil.example/x',
    '/\t/evil.example/x',
    '\\\\evil.example',
    'evil',
    '',
    'https://user:pass@h/x',
    'https://',
    'http:///',
  ])('%j never becomes a link or a form target', (target) => {
    for (const page of Object.values(pagesWith(target))) expect(links(page)).toEqual([]);
  });

  it('an allowed link is written as the URL standard writes it, and escaped', () => {
    const page = loginFailedPage({
      upstream: 'u',
      message: 'm',
      cure: 'c',
      retryUrl: `http://127.0.0.1:5177/oauth/login?a="b"&c='<d>`,
    });
    expect(links(page)).toEqual(['http://127.0.0.1:5177/oauth/login?a=%22b%22&amp;c=%27%3Cd%3E']);
    const rooted = loginFailedPage({
      upstream: 'u',
      message: 'm',
      cure: 'c',
      retryUrl: '/oauth/login?x=1#y',
    });
    expect(links(rooted)).toEqual(['/oauth/login?x=1#y']);
  });
});
