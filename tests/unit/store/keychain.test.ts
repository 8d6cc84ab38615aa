import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createKeychainStore, type KeychainStoreOptions } from '../../../app/store/keychain.ts';
import type { SecretStore } from '../../../app/store/secret-store.ts';
import { createStandInKeychain, type StandInKeychain } from '../../support/keychain.ts';

const SERVICE = 'service';
const ADD = 'add-generic-password';
const FIND = 'find-generic-password';
const DELETE = 'delete-generic-password';

let keychain: StandInKeychain;
let store: SecretStore;
beforeEach(async () => {
  keychain = await createStandInKeychain();
  store = open();
});
afterEach(() => keychain.remove());

function open(options: Partial<KeychainStoreOptions> = {}): SecretStore {
  const { securityBin, lockFolder } = keychain;
  return createKeychainStore({ service: SERVICE, securityBin, lockFolder, ...options });
}

async function names(): Promise<string[]> {
  return Object.keys(await keychain.items(SERVICE)).toSorted();
}

function encoded(value: string): string {
  return `v1:${Buffer.from(value).toString('base64')}`;
}

const failure = (code: string, message: RegExp) => ({
  name: 'SecretStoreError',
  code,
  message: expect.stringMatching(message),
});
const CORRUPT = failure('corrupt', /Log in again\.$/);
/** Two and three items long. */
const LONG = 'long value '.repeat(400);
const LONGER = 'longer value '.repeat(600);

describe('the calls of security', () => {
  it('carry no secret in their arguments and never overlap', async () => {
    await Promise.all([store.set('a', 'hidden'), store.set('b', LONG), store.get('a'), store.delete('b')]);
    const calls = await keychain.calls();
    expect(calls.filter((call) => call.misuse !== undefined)).toEqual([]);
    const starts = calls.filter((call) => call.start !== undefined);
    expect(starts.length).toBeGreaterThan(10);
    for (const { args } of starts) {
      expect(args?.[0]).toMatch(/^(-i|find-generic-password|delete-generic-password)$/);
      expect(args?.join(' ')).not.toMatch(/hidden|v1/);
    }
    expect(calls.map((call) => call.start === undefined)).toEqual(calls.map((_, index) => index % 2 === 1));
  });

  it('need few of them for a value of one item: look, write, read back', async () => {
    await store.set('a', 'first');
    const before = (await keychain.calls()).length;
    await store.set('a', 'second');
    expect((await keychain.calls()).length - before).toBe(2 * 3);
  });

  it.each([`two words "double" 'single' back\\slash $HOME \`id\` ; \\`, '-w', 'ünï'])(
    'take the service name %s',
    async (service) => {
      const odd = open({ service });
      await odd.set('account', 'value');
      expect(await keychain.items(service)).toEqual({ account: encoded('value') });
      expect(await odd.get('account')).toBe('value');
      await odd.delete('account');
      expect(await keychain.items(service)).toEqual({});
    },
  );

  it.each(['', 'line\nbreak', 'nul\0', 'x'.repeat(256)])('refuse the service name %j', (service) => {
    expect(() => open({ service })).toThrowError(expect.objectContaining({ code: 'unavailable' }));
  });
});

describe('an item', () => {
  it('lies under its account as v1 and base64', async () => {
    await store.set('default mcp.example.com', 'grüße');
    expect(await keychain.items(SERVICE)).toEqual({ 'default mcp.example.com': encoded('grüße') });
  });

  it('hides an account that is not a plain name', async () => {
    await store.set('https://mcp.example.com/secret-link', 'value');
    expect(await names()).toEqual([expect.stringMatching(/^sha256-[0-9a-f]{64}$/)]);
  });

  it.each([
    ['plain', SERVICE],
    ['escaped', '"\\'],
  ])('fills a line of 4095 bytes and not one more, with a service name that is %s', async (_how, service) => {
    const odd = open({ service });
    const escaped = service.replaceAll(/["\\]/g, '\\$&');
    const overhead = `add-generic-password -U -s "${escaped}" -a "" -w "v1:"\n`.length;
    // base64 comes in fours: the account takes the rest of the line.
    const account = 'a'.repeat(((4095 - overhead - 4) % 4) + 4);
    const value = 'v'.repeat(((4095 - overhead - account.length) / 4) * 3);
    await odd.set(account, value);
    expect(await keychain.items(service)).toEqual({ [account]: encoded(value) });
    expect(await odd.get(account)).toBe(value);

    await odd.delete(account);
    await odd.set(`${account}a`, value);
    const items = await keychain.items(service);
    expect(Object.keys(items)).toEqual([`${account}a#a1`, `${account}a#a2`, `${account}a`]);
    expect(items[`${account}a`]).toMatch(/^v1-parts:a:2:[0-9a-f]{64}$/);
    expect(await odd.get(`${account}a`)).toBe(value);
  });

  it('that is too long lies in one generation of parts at a time', async () => {
    await store.set('x', LONG);
    expect(await names()).toEqual(['x', 'x#a1', 'x#a2']);
    await store.set('x', LONGER);
    expect(await names()).toEqual(['x', 'x#b1', 'x#b2', 'x#b3']);
    await store.set('x', LONG);
    expect(await names()).toEqual(['x', 'x#a1', 'x#a2']);
    await store.set('x', 'short');
    expect(await names()).toEqual(['x']);
    await store.set('x', LONG);
    await store.delete('x');
    expect(await names()).toEqual([]);
  });

  it.each([
    ['printable', 'hello'],
    ['printed as hex', 'kÿ'],
    ['empty', ''],
    ['no base64', 'v1:***'],
    ['sloppy base64', 'v1:YQ'],
    ['no UTF-8', 'v1:/w=='],
    ['a head without parts', `v1-parts:a:2:${'0'.repeat(64)}`],
    ['a head of no known generation', `v1-parts:c:2:${'0'.repeat(64)}`],
  ])('that is %s is corrupt', async (_what, text) => {
    await keychain.plant(SERVICE, 'x', text);
    await expect(store.get('x')).rejects.toMatchObject(CORRUPT);
  });

  it('with a part of something else is corrupt, and can be replaced and deleted', async () => {
    await store.set('x', LONG);
    for (const part of ['', 'foreign', 'v1:', 'v1:AAAA']) {
      await keychain.plant(SERVICE, 'x#a2', part);
      await expect(store.get('x')).rejects.toMatchObject(CORRUPT);
    }
    await store.set('x', LONG);
    expect(await names()).toEqual(['x', 'x#b1', 'x#b2']);
    await keychain.plant(SERVICE, 'x#b1', 'v1:AAAA');
    await store.delete('x');
    expect(await names()).toEqual([]);
  });

  it('is read anew when its value is replaced between head and parts', async () => {
    await store.set('x', LONG);
    const values = [LONG, LONGER];
    let writing = true;
    const writer = open();
    const writes = (async () => {
      for (const value of [LONGER, LONG]) await writer.set('x', value);
      writing = false;
    })();
    while (writing) expect(values).toContain(await store.get('x'));
    await writes;
  });
});

describe('what a crash leaves', () => {
  it.each(['set', 'delete'] as const)('is removed by the next %s', async (operation) => {
    for (const name of ['x#a1', 'x#a2', 'x#b1']) await keychain.plant(SERVICE, name, 'v1:AAAA');
    await (operation === 'set' ? store.set('x', 'value') : store.delete('x'));
    expect(await names()).toEqual(operation === 'set' ? ['x'] : []);
  });

  it('of a shorter try is removed with the longer value', async () => {
    await store.set('x', LONG);
    for (const name of ['x#b1', 'x#b2', 'x#b3']) await keychain.plant(SERVICE, name, 'v1:AAAA');
    const restarted = open();
    await restarted.set('x', LONG);
    expect(await names()).toEqual(['x', 'x#b1', 'x#b2']);
    expect(await store.get('x')).toBe(LONG);
  });
});

describe('a write', () => {
  it.each([
    ['ends as a duplicate', { exit: 45 }],
    ['is not done although it succeeded', { pretend: true }],
  ] as const)('that %s is done with a delete before it', async (_how, fault) => {
    await store.set('x', 'old');
    await keychain.setFaults([{ on: ADD, times: 1, ...fault }]);
    await store.set('x', 'new');
    expect(await store.get('x')).toBe('new');
  });

  it('that is never done is an error', async () => {
    await keychain.setFaults([{ on: ADD, pretend: true }]);
    await expect(store.set('x', 'value')).rejects.toMatchObject(failure('unavailable', /did not keep/));
  });

  it('that fails at a part keeps the old value, and the next one tidies up', async () => {
    await store.set('x', LONG);
    await keychain.setFaults([{ on: ADD, account: 'x#b2', exit: 36 }]);
    await expect(store.set('x', LONGER)).rejects.toMatchObject({ code: 'locked' });
    expect(await store.get('x')).toBe(LONG);
    await keychain.setFaults([]);
    await store.set('x', 'short');
    expect(await names()).toEqual(['x']);
  });

  it('that fails at the head keeps the old value', async () => {
    await store.set('x', LONG);
    await keychain.setFaults([{ on: ADD, account: 'x', exit: 36 }]);
    await expect(store.set('x', LONGER)).rejects.toMatchObject({ code: 'locked' });
    expect(await store.get('x')).toBe(LONG);
  });

  it('is done once its head is there; old parts wait for the next one', async () => {
    await store.set('x', LONG);
    await keychain.setFaults([{ on: DELETE, exit: 36 }]);
    await store.set('x', 'short');
    expect(await store.get('x')).toBe('short');
    await keychain.setFaults([]);
    await store.set('x', 'shorter');
    expect(await names()).toEqual(['x']);
  });
});

describe('a delete', () => {
  it('that says it succeeded and did not is an error', async () => {
    await store.set('x', 'value');
    await keychain.setFaults([{ on: DELETE, pretend: true }]);
    await expect(store.delete('x')).rejects.toMatchObject(failure('denied', /Keychain Access/));
    await keychain.setFaults([]);
    expect(await store.get('x')).toBe('value');
  });

  it('that cannot remove a part is an error, and can be repeated', async () => {
    await store.set('x', LONG);
    await keychain.setFaults([{ on: DELETE, account: 'x#a1', exit: 36 }]);
    await expect(store.delete('x')).rejects.toMatchObject({ code: 'locked' });
    await keychain.setFaults([]);
    await store.delete('x');
    expect(await names()).toEqual([]);
  });
});

describe('a failure', () => {
  const codes: [exit: number, code: string, message: RegExp][] = [
    [24, 'locked', /Unlock this Mac/],
    [29, 'locked', /Unlock this Mac/],
    [36, 'locked', /Unlock this Mac/],
    [51, 'denied', /allow it/],
    [128, 'denied', /allow it/],
    [37, 'unavailable', /default Keychain/],
    [50, 'unavailable', /default Keychain/],
    [2, 'unavailable', /code 2/],
  ];
  it.each(codes)('with exit code %i is %s', async (exit, code, message) => {
    await keychain.setFaults([{ on: FIND, exit }]);
    await expect(store.get('x')).rejects.toMatchObject(failure(code, message));
  });

  it('of any command keeps the value and is told', async () => {
    await keychain.plant(SERVICE, 'x', encoded('value'));
    const exit = 36;
    await keychain.setFaults([{ on: FIND, exit }]);
    await expect(store.set('x', 'new')).rejects.toMatchObject({ code: 'locked' });
    await expect(store.delete('x')).rejects.toMatchObject({ code: 'locked' });
    await keychain.setFaults([{ on: ADD, exit }]);
    await expect(store.set('x', 'new')).rejects.toMatchObject({ code: 'locked' });
    await keychain.setFaults([{ on: DELETE, exit }]);
    await expect(store.delete('x')).rejects.toMatchObject({ code: 'locked' });
    await keychain.setFaults([]);
    expect(await store.get('x')).toBe('value');
  });

  it('by a prompt that nobody answers is locked, and the next call goes through', async () => {
    await store.set('x', 'value');
    const hasty = open({ timeoutMs: 4_000 });
    await keychain.setFaults([{ on: FIND, times: 1, hang: true }]);
    const [first, second] = await Promise.allSettled([hasty.get('x'), hasty.get('x')]);
    expect(first).toMatchObject({ reason: failure('locked', /prompt/) });
    expect(second).toMatchObject({ value: 'value' });
  });

  it('without the command names the way out', async () => {
    const missing = open({ securityBin: '/nowhere/security' });
    await expect(missing.get('x')).rejects.toMatchObject(failure('unavailable', /ENOENT.*TOKEN_STORE=auto/));
  });

  it('says no secret and no account', async () => {
    await keychain.setFaults([{ on: ADD, exit: 1 }]);
    const error = await store.set('account', 'hidden').catch((reason: unknown) => reason);
    expect(String(error)).not.toMatch(/hidden|aGlkZGVu|"account"/);
  });
});
