import { describe, expect, it } from 'vitest';
import { isWebPage, openExternal } from '../../../../main/login/open-external.ts';

const PAGES = [
  'https://auth.example.com/authorize?state=a',
  'https://auth.example.com:8443/',
  'http://127.0.0.1:5177/oauth/login',
  'http://localhost:3000/',
  'http://[::1]:3000/',
];
const OTHERS = [
  'http://auth.example.com/authorize',
  'http://localhost.example.com/',
  'http://127.0.0.1.example.com/',
  'http://192.168.0.1/',
  'https://accounts.google.com@evil.example/',
  'https://user:password@auth.example.com/',
  'file:///etc/passwd',
  'file://server/share',
  'smb://server/share',
  'javascript:alert(1)',
  'data:text/html,hello',
  'mailto:someone@example.com',
  'ms-msdt:/id',
  'app://status/index.html',
  'vscode://file/etc/passwd',
];

describe('a page of the web', () => {
  it.each(PAGES)('is %s', (url) => {
    expect(isWebPage(url)).toBe(true);
  });

  it.each([...OTHERS, 'nonsense', ''])('is not %s', (url) => {
    expect(isWebPage(url)).toBe(false);
  });
});

describe('the system’s browser', () => {
  it('gets pages, and nothing else', async () => {
    const opened: string[] = [];
    const shell = { openExternal: async (url: string) => void opened.push(url) };
    for (const url of PAGES) await openExternal(shell, new URL(url));
    for (const url of OTHERS) await expect(openExternal(shell, new URL(url))).rejects.toThrow('not opened');
    expect(opened).toEqual(PAGES);
  });

  it('is the one the shell has at the time of use', async () => {
    const opened: string[] = [];
    const shell = { openExternal: async (_url: string) => undefined };
    shell.openExternal = async (url) => void opened.push(url);
    await openExternal(shell, new URL('https://example.com/'));
    expect(opened).toEqual(['https://example.com/']);
  });
});
