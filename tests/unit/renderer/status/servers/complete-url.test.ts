import { describe, expect, it } from 'vitest';
import { completeUrl, looksComplete } from '../../../../../renderer/status/servers/complete-url.ts';

describe('a URL as people type it', () => {
  it.each([
    ['https://mcp.example.com/mcp', 'https://mcp.example.com/mcp'],
    ['  https://mcp.example.com/mcp\n', 'https://mcp.example.com/mcp'],
    ['mcp.example.com/mcp', 'https://mcp.example.com/mcp'],
    ['mcp.example.com:8443/mcp', 'https://mcp.example.com:8443/mcp'],
    ['localhost:3000/mcp', 'http://localhost:3000/mcp'],
    ['127.0.0.1:3000', 'http://127.0.0.1:3000'],
    ['[::1]:3000', 'http://[::1]:3000'],
    ['localhost.example.com', 'https://localhost.example.com'],
    ['http://mcp.example.com', 'http://mcp.example.com'],
    ['HTTPS://mcp.example.com', 'HTTPS://mcp.example.com'],
    ['javascript:alert(1)', 'javascript:alert(1)'],
    ['', ''],
  ])('%j becomes %j', (typed, url) => {
    expect(completeUrl(typed)).toBe(url);
  });

  it.each([
    'https://mcp.example.com',
    'https://mcp.example.com/mcp',
    'http://localhost:3000',
    'http://127.0.0.1:3000',
    'http://[::1]:3000',
    'ftp://mcp.example.com',
  ])('%j is worth a look', (url) => {
    expect(looksComplete(url)).toBe(true);
  });

  it.each([
    '',
    'https:',
    'https://',
    'https://m',
    'https://mcp.',
    'https://mcp.e',
    'https://https:',
    'no url',
  ])('%j is not, yet', (url) => {
    expect(looksComplete(url)).toBe(false);
  });
});
