import { describe, expect, it } from 'vitest';
import { REQUEST_CHANNELS } from '../../../../main/ipc/channels.ts';
import type { RequestChannel, Requests, ServerInput } from '../../../../main/ipc/contract.ts';
import { parseRequest } from '../../../../main/ipc/requests.ts';

const INPUT: ServerInput = {
  name: 'Craft',
  upstreamMcpUrl: 'https://mcp.example.com/mcp',
  port: '',
  scopes: '',
  profile: '',
  clientId: '',
  clientSecret: 'keep',
  authorizationEndpoint: '',
  tokenEndpoint: '',
  issuer: '',
  probePath: '',
};

/** A good request for each channel; one that is missing does not compile. */
const GOOD: { readonly [C in RequestChannel]: Requests[C]['request'] } = {
  'app:view': undefined,
  'app:change-settings': {
    loginWay: 'browser',
    loginWaitSeconds: 0,
    loginOnDemand: true,
    lookForNewVersions: false,
    logLevel: 'debug',
  },
  'app:start-at-login': true,
  'app:dismiss-notice': { id: 'notice' },
  'app:open-new-version': undefined,
  'app:reset': undefined,
  'calls:recent': undefined,
  'log:recent': undefined,
  'log:open': undefined,
  'server:check': { url: 'https://mcp.example.com' },
  'server:form': { id: 'one' },
  'server:add': INPUT,
  'server:change': { id: 'one', input: { ...INPUT, clientSecret: { value: '' } } },
  'server:move-port': { id: 'one', port: 5178 },
  'server:remove': { id: 'one' },
  'server:restart': { id: 'one' },
  'server:log-in': { id: 'one', way: 'preferred' },
  'server:cancel-login': { id: 'one' },
  'server:log-out': { id: 'one' },
  'server:copy-url': { id: 'one' },
  'server:copy-for-client': { id: 'one', client: 'codex' },
  'login:view': undefined,
  'login:use-browser': undefined,
  'login:try-again': undefined,
};
const CHANNELS = Object.keys(REQUEST_CHANNELS) as RequestChannel[];
const HUGE = 'x'.repeat(1_000_000);

describe('every channel', () => {
  it.each(CHANNELS)('%s takes what it is for', (channel) => {
    expect(parseRequest(channel, GOOD[channel])).toEqual({ request: GOOD[channel] });
  });

  it.each(CHANNELS)('%s takes nothing else', (channel) => {
    const strange = [
      null,
      0,
      Number.NaN,
      '',
      HUGE,
      [],
      [GOOD[channel]],
      {},
      { ['a'.repeat(300)]: 1 },
      new Map(),
      1n,
    ];
    // Settings can be changed by no setting at all.
    const taken = strange.filter((payload) => 'request' in parseRequest(channel, payload));
    expect(taken).toEqual(channel === 'app:change-settings' ? [[], {}, new Map()] : []);
  });

  const withMembers = CHANNELS.filter((channel) => typeof GOOD[channel] === 'object');
  it.each(withMembers)('%s takes no member that it does not know', (channel) => {
    expect(parseRequest(channel, { ...Object(GOOD[channel]), more: 1 })).toEqual({ fault: 'more' });
  });
});

describe('members with names of the language', () => {
  const hostile = (text: string): unknown => JSON.parse(text);

  it.each([
    '{"id":"one","__proto__":{"polluted":true}}',
    '{"id":"one","constructor":{"prototype":{"polluted":true}}}',
    '{"id":"one","toString":"x"}',
  ])('%s do not get through', (text) => {
    const parsed = parseRequest('server:remove', hostile(text));
    if ('request' in parsed) {
      expect(Object.getOwnPropertyNames(parsed.request)).toEqual(['id']);
      expect(Object.getPrototypeOf(parsed.request)).toBe(Object.prototype);
    }
    expect({}).not.toHaveProperty('polluted');
  });

  it('are no substitute for members that are missing', () => {
    expect(parseRequest('server:remove', hostile('{"__proto__":{"id":"one"}}'))).toHaveProperty('fault');
  });
});

describe('a request that goes too far', () => {
  it.each<[RequestChannel, unknown]>([
    ['app:change-settings', { loginWaitSeconds: 601 }],
    ['app:change-settings', { loginWaitSeconds: -1 }],
    ['app:change-settings', { loginWaitSeconds: 1.5 }],
    ['app:change-settings', { loginWay: 'window' }],
    ['app:change-settings', { loginOnDemand: undefined }],
    ['app:change-settings', { logLevel: 'silly' }],
    ['app:start-at-login', 'true'],
    ['server:move-port', { id: 'one', port: 0 }],
    ['server:move-port', { id: 'one', port: 65536 }],
    ['server:move-port', { id: 'one', port: '5178' }],
    ['server:log-in', { id: 'one', way: 'any' }],
    ['server:copy-for-client', { id: 'one', client: 'rm -rf' }],
    ['server:check', { url: HUGE }],
    ['server:remove', { id: '' }],
    ['server:remove', { id: HUGE }],
    ['server:add', { ...INPUT, clientSecret: { value: HUGE } }],
    ['server:add', { ...INPUT, clientSecret: 'kept' }],
    ['server:add', { ...INPUT, name: undefined }],
  ])('%s %j is refused', (channel, payload) => {
    expect(parseRequest(channel, payload)).toHaveProperty('fault');
  });
});

describe('a fault', () => {
  it('is told by its place, without a value', () => {
    expect(
      parseRequest('server:change', { id: 'one', input: { ...INPUT, clientSecret: { value: 7 } } }),
    ).toEqual({
      fault: 'input.clientSecret',
    });
    expect(parseRequest('app:view', 'cs-Zk3Vq8Tn1xB')).toEqual({ fault: 'the request' });
  });
});
