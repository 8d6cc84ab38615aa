import { expect, it } from 'vitest';
import { browserUserAgent } from '../../../../main/login/user-agent.ts';

it.each([
  [
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) MCPAuthProxy/0.1.0 Chrome/130.0.6723.137 Electron/33.2.1 Safari/537.36',
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36',
  ],
  [
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.7444.60 Electron/45.4.1 Safari/537.36',
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
  ],
])('names the browser inside and nothing around it: %s', (userAgent, expected) => {
  expect(browserUserAgent(userAgent)).toBe(expected);
  expect(browserUserAgent(expected)).toBe(expected);
});
