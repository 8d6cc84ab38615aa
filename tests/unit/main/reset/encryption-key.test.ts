import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { deleteEncryptionKey } from '../../../../main/reset/encryption-key.ts';
import { startKeyring } from '../../../support/keyring.ts';
import { givenKeychain } from '../../../support/login.ts';

const SERVICE = 'MCP Auth Proxy Safe Storage';
const SCHEMA = ['xdg:schema', 'chrome_libsecret_os_crypt_password_v2'];
const ON_MAC = { appName: 'MCP Auth Proxy', platform: 'darwin' } as const;

describe('the key by which the app encrypts', () => {
  it('goes from the Keychain, and no other item does', async () => {
    const keychain = await givenKeychain();
    const env = { SECURITY_BIN: keychain.securityBin };
    await keychain.plant(SERVICE, 'MCP Auth Proxy', 'the key');
    await keychain.plant('Other Safe Storage', 'Other', 'another key');
    expect(await deleteEncryptionKey({ ...ON_MAC, env })).toBeUndefined();
    expect(await keychain.items(SERVICE)).toEqual({});
    expect(await keychain.items('Other Safe Storage')).toEqual({ Other: 'another key' });
    expect(await deleteEncryptionKey({ ...ON_MAC, env })).toBeUndefined();
  });

  it.each([
    { on: 'delete-generic-password', pretend: true },
    { on: 'delete-generic-password', exit: 51 },
    { on: 'find-generic-password', exit: 36 },
  ] as const)('is said to be left when that is so or nobody knows: %j', async (fault) => {
    const keychain = await givenKeychain();
    await keychain.plant(SERVICE, 'MCP Auth Proxy', 'the key');
    await keychain.setFaults([fault]);
    const env = { SECURITY_BIN: keychain.securityBin };
    expect(await deleteEncryptionKey({ ...ON_MAC, env })).toContain(`"${SERVICE}"`);
  });

  it('is said to be left where the command is missing', async () => {
    const env = { SECURITY_BIN: '/nowhere/security' };
    expect(await deleteEncryptionKey({ ...ON_MAC, env })).toContain(`"${SERVICE}"`);
  });

  it('goes from the keyring, and that of no other app does', async () => {
    const keyring = await startKeyring();
    onTestFinished(() => keyring.stop());
    const { env } = keyring;
    const secretTool = (...args: string[]) => {
      const running = promisify(execFile)('secret-tool', args, { env });
      running.child.stdin?.end('the key');
      return running.then(
        ({ stdout }) => stdout,
        () => undefined,
      );
    };
    const keyOf = (application: string) => secretTool('lookup', ...SCHEMA, 'application', application);
    for (const application of ['MCP Auth Proxy', 'MCP Auth Proxy Development'])
      await secretTool('store', '--label=Chromium Safe Storage', ...SCHEMA, 'application', application);
    expect(await keyOf('MCP Auth Proxy')).toBe('the key');
    const options = { appName: 'MCP Auth Proxy', platform: 'linux', env } as const;
    expect(await deleteEncryptionKey(options)).toBeUndefined();
    expect(await keyOf('MCP Auth Proxy')).toBeUndefined();
    expect(await keyOf('MCP Auth Proxy Development')).toBe('the key');
    expect(await deleteEncryptionKey(options)).toBeUndefined();
  });
});
